package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fundrail/fundrail/internal/config"
	"github.com/fundrail/fundrail/internal/dashboard"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

type userCmd struct {
	Create   userCreateCmd   `cmd:"" help:"Create a user of the dashboard."`
	List     userListCmd     `cmd:"" help:"List users."`
	Disable  userDisableCmd  `cmd:"" help:"Disable a user and end the user's sessions."`
	Password userPasswordCmd `cmd:"" help:"Set a user's password and end the user's sessions."`
}

// passwordFlags say where a password comes from.
type passwordFlags struct {
	PasswordStdin bool `help:"Read the password from the first line of standard input, instead of generating one."`
}

// choose reads a password or generates one. The caller has to show a generated one.
func (f passwordFlags) choose(a *app) (password string, generated bool, err error) {
	if !f.PasswordStdin {
		return rand.Text(), true, nil
	}
	const longest = 4096
	input, err := io.ReadAll(io.LimitReader(a.Stdin, longest))
	if err != nil {
		return "", false, fmt.Errorf("standard input: %w", err)
	}
	password, _, _ = strings.Cut(string(input), "\n")
	return strings.TrimSuffix(password, "\r"), false, nil
}

type userCreateCmd struct {
	config.Database
	passwordFlags

	Email string        `required:"" help:"The user's e-mail, which is also the login."`
	Role  postgres.Role `enum:"viewer,support,operator,admin" default:"viewer" help:"viewer, support, operator or admin. Each role includes the ones before it."`
	JSON  bool          `help:"Print one JSON object."`
}

// Run creates a user.
func (c *userCreateCmd) Run(ctx context.Context, a *app) error {
	if err := checkEmail(c.Email); err != nil {
		return err
	}
	password, generated, err := c.choose(a)
	if err != nil {
		return err
	}
	hash, err := dashboard.HashPassword(password)
	if err != nil {
		return err
	}
	u := postgres.User{
		ID: wallet.NewID(), Email: strings.ToLower(c.Email), Role: c.Role, PasswordHash: hash, CreatedAt: a.Now(),
	}
	if err := withTx(ctx, c.Database, func(tx pgx.Tx) error { return postgres.InsertUser(ctx, tx, u) }); err != nil {
		return err
	}
	return a.printUser(u, password, generated, c.JSON)
}

// printUser prints a user, with the password if it was generated.
func (a *app) printUser(u postgres.User, password string, generated, asJSON bool) error {
	if !generated {
		password = ""
	}
	if asJSON {
		return a.printJSON(struct {
			UserID   wallet.ID     `json:"user_id"`
			Email    string        `json:"email"`
			Role     postgres.Role `json:"role"`
			Password string        `json:"password,omitempty"`
		}{u.ID, u.Email, u.Role, password})
	}
	a.printf("user     %s\ne-mail   %s\nrole     %s\n", u.ID, u.Email, u.Role)
	if generated {
		a.printf("password %s\n\nThe password is not shown again: only its hash is stored.\n", password)
	}
	return nil
}

type userListCmd struct {
	config.Database

	JSON bool `help:"Print one JSON object."`
}

type userLine struct {
	UserID      wallet.ID     `json:"user_id"`
	Email       string        `json:"email"`
	Role        postgres.Role `json:"role"`
	CreatedAt   time.Time     `json:"created_at"`
	LastLoginAt *time.Time    `json:"last_login_at"`
	DisabledAt  *time.Time    `json:"disabled_at"`
}

// Run lists users by e-mail.
func (c *userListCmd) Run(ctx context.Context, a *app) error {
	return withPool(ctx, c.Database, func(pool *pgxpool.Pool) error {
		list, err := postgres.ListUsers(ctx, pool)
		if err != nil {
			return err
		}
		if c.JSON {
			lines := make([]userLine, len(list))
			for i, u := range list {
				lines[i] = userLine{u.ID, u.Email, u.Role, u.CreatedAt, u.LastLoginAt, u.DisabledAt}
			}
			return a.printJSON(struct {
				Users []userLine `json:"users"`
			}{lines})
		}
		rows := [][]string{{"E-MAIL", "ROLE", "CREATED", "LAST LOGIN", "DISABLED"}}
		for _, u := range list {
			rows = append(rows, []string{
				u.Email, string(u.Role), formatTime(&u.CreatedAt), formatTime(u.LastLoginAt), formatTime(u.DisabledAt),
			})
		}
		return a.printTable(rows)
	})
}

type userDisableCmd struct {
	config.Database

	Email string `arg:"" help:"The user's e-mail."`
}

// Run disables a user. It changes nothing if the user is disabled already.
func (c *userDisableCmd) Run(ctx context.Context, a *app) error {
	return withPool(ctx, c.Database, func(pool *pgxpool.Pool) error {
		u, err := postgres.DisableUser(ctx, pool, c.Email, a.Now())
		if err != nil {
			return err
		}
		a.printf("user %s was disabled at %s\n", u.Email, formatTime(u.DisabledAt))
		return nil
	})
}

type userPasswordCmd struct {
	config.Database
	passwordFlags

	Email string `arg:"" help:"The user's e-mail."`
	JSON  bool   `help:"Print one JSON object."`
}

// Run sets a user's password. A disabled user is enabled again.
func (c *userPasswordCmd) Run(ctx context.Context, a *app) error {
	password, generated, err := c.choose(a)
	if err != nil {
		return err
	}
	hash, err := dashboard.HashPassword(password)
	if err != nil {
		return err
	}
	return withPool(ctx, c.Database, func(pool *pgxpool.Pool) error {
		u, err := postgres.SetPassword(ctx, pool, c.Email, hash, a.Now())
		if err != nil {
			return err
		}
		return a.printUser(u, password, generated, c.JSON)
	})
}
