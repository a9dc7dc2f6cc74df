package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fundrail/fundrail/internal/config"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

type keyCmd struct {
	Create keyCreateCmd `cmd:"" help:"Create an API key. It is shown once."`
	List   keyListCmd   `cmd:"" help:"List an organization's API keys."`
	Rotate keyRotateCmd `cmd:"" help:"Replace an API key: a new one now, the old one for a while."`
	Revoke keyRevokeCmd `cmd:"" help:"Revoke an API key."`
}

type keyCreateCmd struct {
	config.Database

	Organization wallet.ID     `required:"" placeholder:"ID" help:"The key's organization."`
	Mode         wallet.Mode   `enum:"test,live" default:"test" help:"test or live."`
	Name         string        `default:"Default" help:"The key's name."`
	Scopes       []string      `default:"admin,fund,read" help:"What the key may do: admin, fund and read, separated by commas."`
	ExpiresIn    time.Duration `placeholder:"720h" help:"Lifetime of the key. Default: no end."`
	JSON         bool          `help:"Print one JSON object."`
}

// Run creates an API key.
func (c *keyCreateCmd) Run(ctx context.Context, a *app) error {
	if c.ExpiresIn < 0 {
		return errors.New("--expires-in must be longer than zero")
	}
	scopes, unknown := wallet.ParseScopes(c.Scopes)
	if unknown != "" || len(scopes) == 0 {
		return fmt.Errorf("--scopes: there is no scope called %q", unknown)
	}
	k, key := newAPIKey(c.Organization, c.Mode, c.Name, a.Now())
	k.Scopes = scopes
	if c.ExpiresIn > 0 {
		expiresAt := k.CreatedAt.Add(c.ExpiresIn)
		k.ExpiresAt = &expiresAt
	}
	err := withTx(ctx, c.Database, func(tx pgx.Tx) error {
		if _, err := postgres.GetOrganization(ctx, tx, c.Organization); err != nil {
			return err
		}
		return postgres.InsertAPIKey(ctx, tx, k, key)
	})
	if err != nil {
		return err
	}
	return a.printAPIKey(c.JSON, k.ID, key)
}

// printAPIKey prints a new key. Only its hash is stored, so it cannot be shown again.
func (a *app) printAPIKey(asJSON bool, id wallet.ID, key string) error {
	if asJSON {
		return a.printJSON(struct {
			KeyID  wallet.ID `json:"key_id"`
			APIKey string    `json:"api_key"`
		}{id, key})
	}
	a.printf("key     %s\nAPI key %s\n\nThe key is not shown again: only its hash is stored.\n", id, key)
	return nil
}

// newAPIKey returns a new key and its row.
func newAPIKey(organizationID wallet.ID, mode wallet.Mode, name string, now time.Time) (postgres.APIKey, string) {
	key := wallet.NewAPIKey(mode)
	return postgres.APIKey{
		ID:             wallet.NewID(),
		OrganizationID: organizationID,
		Mode:           mode,
		Name:           name,
		Hint:           key[len(key)-4:],
		CreatedAt:      now,
	}, key
}

type keyListCmd struct {
	config.Database

	Organization wallet.ID `required:"" placeholder:"ID" help:"The keys' organization."`
	JSON         bool      `help:"Print one JSON object."`
}

type keyLine struct {
	KeyID      wallet.ID      `json:"key_id"`
	Mode       wallet.Mode    `json:"mode"`
	Name       string         `json:"name"`
	Hint       string         `json:"hint"`
	Scopes     []wallet.Scope `json:"scopes"`
	CreatedAt  time.Time      `json:"created_at"`
	ExpiresAt  *time.Time     `json:"expires_at"`
	RevokedAt  *time.Time     `json:"revoked_at"`
	LastUsedAt *time.Time     `json:"last_used_at"`
}

// Run lists API keys, the newest first.
func (c *keyListCmd) Run(ctx context.Context, a *app) error {
	return withPool(ctx, c.Database, func(pool *pgxpool.Pool) error {
		if _, err := postgres.GetOrganization(ctx, pool, c.Organization); err != nil {
			return err
		}
		list, err := postgres.ListAPIKeys(ctx, pool, c.Organization)
		if err != nil {
			return err
		}
		if c.JSON {
			lines := make([]keyLine, len(list))
			for i, k := range list {
				lines[i] = keyLine{k.ID, k.Mode, k.Name, k.Hint, k.Scopes, k.CreatedAt, k.ExpiresAt, k.RevokedAt, k.LastUsedAt}
			}
			return a.printJSON(struct {
				Keys []keyLine `json:"keys"`
			}{lines})
		}
		rows := [][]string{{"KEY", "MODE", "NAME", "ENDS IN", "MAY", "CREATED", "LAST USED", "EXPIRES", "REVOKED"}}
		for _, k := range list {
			rows = append(rows, []string{
				k.ID.String(), string(k.Mode), k.Name, k.Hint, scopeNames(k.Scopes),
				formatTime(&k.CreatedAt), formatTime(k.LastUsedAt), formatTime(k.ExpiresAt), formatTime(k.RevokedAt),
			})
		}
		return a.printTable(rows)
	})
}

func scopeNames(scopes []wallet.Scope) string {
	names := make([]string, len(scopes))
	for i, s := range scopes {
		names[i] = string(s)
	}
	return strings.Join(names, ",")
}

type keyRotateCmd struct {
	config.Database

	Key     wallet.ID     `arg:"" help:"The id of the key to replace."`
	Overlap time.Duration `default:"24h" help:"How long the old key stays valid."`
	JSON    bool          `help:"Print one JSON object."`
}

// Run creates a key with the properties of another one, which ends after the overlap.
// The new key has the lifetime with which the old one was created.
func (c *keyRotateCmd) Run(ctx context.Context, a *app) error {
	if c.Overlap < 0 {
		return errors.New("--overlap must not be negative")
	}
	now := a.Now()
	var id wallet.ID
	var key string
	err := withTx(ctx, c.Database, func(tx pgx.Tx) error {
		old, err := postgres.RetireAPIKey(ctx, tx, c.Key, now.Add(c.Overlap), now)
		if err != nil {
			return err
		}
		var k postgres.APIKey
		k, key = newAPIKey(old.OrganizationID, old.Mode, old.Name, now)
		id, k.Scopes = k.ID, old.Scopes
		if old.ExpiresAt != nil {
			expiresAt := now.Add(old.ExpiresAt.Sub(old.CreatedAt))
			k.ExpiresAt = &expiresAt
		}
		return postgres.InsertAPIKey(ctx, tx, k, key)
	})
	if err != nil {
		return err
	}
	return a.printAPIKey(c.JSON, id, key)
}

type keyRevokeCmd struct {
	config.Database

	Key  wallet.ID `arg:"" help:"The key's id."`
	JSON bool      `help:"Print one JSON object."`
}

// Run revokes an API key. Doing so again changes nothing.
func (c *keyRevokeCmd) Run(ctx context.Context, a *app) error {
	return withPool(ctx, c.Database, func(pool *pgxpool.Pool) error {
		revokedAt, err := postgres.RevokeAPIKey(ctx, pool, c.Key, a.Now())
		if err != nil {
			return err
		}
		if c.JSON {
			return a.printJSON(struct {
				KeyID     wallet.ID `json:"key_id"`
				RevokedAt time.Time `json:"revoked_at"`
			}{c.Key, revokedAt})
		}
		a.printf("key %s was revoked at %s\n", c.Key, formatTime(&revokedAt))
		return nil
	})
}
