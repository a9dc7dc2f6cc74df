package devstack

import (
	"context"
	"errors"
	"time"

	"github.com/fundrail/fundrail/internal/dashboard"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// ensureAdmin makes sure that an enabled admin with this e-mail and password exists.
func ensureAdmin(ctx context.Context, db postgres.DB, email, password string, now time.Time) error {
	u, err := postgres.FindUser(ctx, db, email)
	unknown := wallet.HasCode(err, wallet.CodeNotFound)
	if err != nil && !unknown {
		return err
	}
	if !unknown && u.DisabledAt == nil {
		if same, err := dashboard.CheckPassword(u.PasswordHash, password); err == nil && same {
			return nil
		}
	}
	hash, err := dashboard.HashPassword(password)
	if err != nil {
		return err
	}
	if unknown {
		err = postgres.InsertUser(ctx, db, postgres.User{
			ID: wallet.NewID(), Email: email, Role: postgres.RoleAdmin, PasswordHash: hash, CreatedAt: now,
		})
		if !errors.Is(err, postgres.ErrUserExists) {
			return err
		}
		// Another process that starts on the same database has created the admin.
	}
	_, err = postgres.SetPassword(ctx, db, email, hash, now)
	return err
}
