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

// Role determines what a user of the dashboard may do. Each role includes the one before
// it.
type Role string

// The roles.
const (
	// RoleViewer may read everything, with personal data masked.
	RoleViewer Role = "viewer"
	// RoleSupport may also read personal data and request checks of payments.
	RoleSupport Role = "support"
	// RoleOperator may also control jobs, queues and events.
	RoleOperator Role = "operator"
	// RoleAdmin may also delete jobs.
	RoleAdmin Role = "admin"
)

// Roles lists all roles, from the least to the most powerful.
var Roles = []Role{RoleViewer, RoleSupport, RoleOperator, RoleAdmin}

// Includes reports whether r may do everything that least may do. A role that is not in
// Roles may do nothing.
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

// ErrUserExists reports that another user has the e-mail address.
var ErrUserExists = errors.New("a user with this e-mail exists already")

const userColumns = `id, email, role, password_hash, password_changed_at, created_at, disabled_at, last_login_at`

// InsertUser stores a new user. The error is ErrUserExists if another user has the e-mail
// address.
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

// GetUser returns a user. The error is CodeNotFound for an unknown one.
func GetUser(ctx context.Context, db DB, id wallet.ID) (User, error) {
	rows, _ := db.Query(ctx, `select `+userColumns+` from users where id = $1`, id)
	return collectUser(rows, id.String())
}

// FindUser returns the user with an e-mail address, ignoring case. The error is
// CodeNotFound for an unknown one.
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

// ListUsers returns all users, sorted by e-mail address.
func ListUsers(ctx context.Context, db DB) ([]User, error) {
	rows, _ := db.Query(ctx, `select `+userColumns+` from users order by email`)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[User])
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	return nonNil(list), nil
}

// DisableUser disables a user and thereby ends the user's sessions. It does not change a
// user who is disabled already. The error is CodeNotFound for an unknown address.
func DisableUser(ctx context.Context, db DB, email string, now time.Time) (User, error) {
	rows, _ := db.Query(ctx, `
		update users set disabled_at = coalesce(disabled_at, $2) where email = lower($1)
		returning `+userColumns, email, now)
	return collectUser(rows, email)
}

// SetPassword changes a user's password, which ends the user's sessions, and enables a
// disabled user. The error is CodeNotFound for an unknown address.
func SetPassword(ctx context.Context, db DB, email, hash string, now time.Time) (User, error) {
	rows, _ := db.Query(ctx, `
		update users set password_hash = $2, password_changed_at = $3, disabled_at = null where email = lower($1)
		returning `+userColumns, email, hash, now)
	return collectUser(rows, email)
}

// NoteLogin stores when a user logged in.
func NoteLogin(ctx context.Context, db DB, id wallet.ID, now time.Time) error {
	if _, err := db.Exec(ctx, `update users set last_login_at = $2 where id = $1`, id, now); err != nil {
		return fmt.Errorf("note login of user %s: %w", id, err)
	}
	return nil
}
