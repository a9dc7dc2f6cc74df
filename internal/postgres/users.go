package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/fundrail/fundrail/internal/wallet"
)

// Role is what a user of the dashboard may do. Each includes the one before it.
type Role string

// The roles.
const (
	// RoleViewer reads, with personal data masked.
	RoleViewer Role = "viewer"
	// RoleSupport reads everything and may have a payment checked.
	RoleSupport Role = "support"
	// RoleOperator steers jobs, queues and events.
	RoleOperator Role = "operator"
	// RoleAdmin may also delete jobs.
	RoleAdmin Role = "admin"
)

// Roles lists every role, the smallest first.
var Roles = []Role{RoleViewer, RoleSupport, RoleOperator, RoleAdmin}

// Includes reports whether r may do what least may do. A role that is not in Roles
// may do nothing.
func (r Role) Includes(least Role) bool {
	have, want := slices.Index(Roles, r), slices.Index(Roles, least)
	return have >= 0 && want >= 0 && have >= want
}

// User is a person who may log in to the dashboard.
type User struct {
	ID                wallet.ID
	Email             string // in lower case
	Role              Role
	PasswordHash      string
	PasswordChangedAt time.Time
	CreatedAt         time.Time
	DisabledAt        *time.Time
	LastLoginAt       *time.Time
}

// ErrUserExists reports an e-mail address that is another user's already.
var ErrUserExists = errors.New("a user with this e-mail exists already")

const userColumns = `id, email, role, password_hash, password_changed_at, created_at, disabled_at, last_login_at`

// InsertUser stores a new user. A second one with the same e-mail is
// ErrUserExists.
func InsertUser(ctx context.Context, db DB, u User) error {
	_, err := db.Exec(ctx, `
		insert into users (id, email, role, password_hash, password_changed_at, created_at)
		values ($1, $2, $3, $4, $5, $5)`,
		u.ID, strings.ToLower(u.Email), u.Role, u.PasswordHash, u.CreatedAt)
	const uniqueViolation = "23505"
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.Code == uniqueViolation {
		return ErrUserExists
	}
	if err != nil {
		return fmt.Errorf("insert user: %w", err)
	}
	return nil
}

// GetUser finds a user by id. An unknown one is CodeNotFound.
func GetUser(ctx context.Context, db DB, id wallet.ID) (User, error) {
	rows, _ := db.Query(ctx, `select `+userColumns+` from users where id = $1`, id)
	return collectUser(rows, id.String())
}

// FindUser finds a user by e-mail, in any case. An unknown one is CodeNotFound.
func FindUser(ctx context.Context, db DB, email string) (User, error) {
	rows, _ := db.Query(ctx, `select `+userColumns+` from users where email = lower($1)`, email)
	return collectUser(rows, email)
}

func collectUser(rows pgx.Rows, name string) (User, error) {
	u, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[User])
	if errors.Is(err, pgx.ErrNoRows) {
		return u, &wallet.Error{Code: wallet.CodeNotFound, Message: "No such user."}
	}
	if err != nil {
		return u, fmt.Errorf("find user %s: %w", name, err)
	}
	return u, nil
}

// ListUsers gives all users by e-mail.
func ListUsers(ctx context.Context, db DB) ([]User, error) {
	rows, _ := db.Query(ctx, `select `+userColumns+` from users order by email`)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[User])
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	return nonNil(list), nil
}

// DisableUser ends a user's access, and with it every session. Doing so again
// changes nothing. An unknown e-mail is CodeNotFound.
func DisableUser(ctx context.Context, db DB, email string, now time.Time) (User, error) {
	rows, _ := db.Query(ctx, `
		update users set disabled_at = coalesce(disabled_at, $2) where email = lower($1)
		returning `+userColumns, email, now)
	return collectUser(rows, email)
}

// SetPassword gives a user another password, which ends every session, and lets
// one in again who had been disabled. An unknown e-mail is CodeNotFound.
func SetPassword(ctx context.Context, db DB, email, hash string, now time.Time) (User, error) {
	rows, _ := db.Query(ctx, `
		update users set password_hash = $2, password_changed_at = $3, disabled_at = null where email = lower($1)
		returning `+userColumns, email, hash, now)
	return collectUser(rows, email)
}

// NoteLogin writes down when a user last logged in.
func NoteLogin(ctx context.Context, db DB, id wallet.ID, now time.Time) error {
	if _, err := db.Exec(ctx, `update users set last_login_at = $2 where id = $1`, id, now); err != nil {
		return fmt.Errorf("note login of user %s: %w", id, err)
	}
	return nil
}
