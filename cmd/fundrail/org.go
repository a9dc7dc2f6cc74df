package main

import (
	"context"
	"fmt"
	"net/mail"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/config"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

type orgCmd struct {
	Create orgCreateCmd `cmd:"" help:"Create an organization."`
}

type orgCreateCmd struct {
	config.Database

	Name  string `required:"" help:"The organization's name."`
	Email string `help:"Primary e-mail address. Payments are refused without one."`
	JSON  bool   `help:"Print one JSON object."`
}

// Run creates an organization.
func (c *orgCreateCmd) Run(ctx context.Context, a *app) error {
	if err := checkEmail(c.Email); err != nil {
		return err
	}
	o := postgres.Organization{ID: wallet.NewID(), Name: c.Name, PrimaryEmail: c.Email, CreatedAt: a.Now()}
	err := withTx(ctx, c.Database, func(tx pgx.Tx) error { return postgres.InsertOrganization(ctx, tx, o) })
	if err != nil {
		return err
	}
	if c.JSON {
		return a.printJSON(struct {
			OrganizationID wallet.ID `json:"organization_id"`
		}{o.ID})
	}
	a.printf("organization %s\n", o.ID)
	return nil
}

func checkEmail(s string) error {
	if s == "" {
		return nil
	}
	if parsed, err := mail.ParseAddress(s); err != nil || parsed.Address != s {
		return fmt.Errorf("--email: %q is not an e-mail address", s)
	}
	return nil
}
