package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/fundrail/fundrail/internal/config"
	"github.com/fundrail/fundrail/internal/wallet"
)

type devCmd struct {
	// Database is optional here: without it, there is a private one.
	Database     config.Secret `name:"database-url" env:"DATABASE_URL" group:"Settings" placeholder:"postgres://…" help:"PostgreSQL to work on; a private one unless given."`
	DataDir      string        `default:".fundrail" help:"What is kept from one start to the next."`
	StripeListen string        `default:"127.0.0.1:12111" help:"Host and port of the simulated Stripe; port 0 picks one."`
	ReadyFile    string        `placeholder:"PATH" help:"A file to write addresses, ids and keys to once everything answers."`

	config.HTTP
	config.Limits
	config.Log
}

// Run runs the stack until the context ends.
func (c *devCmd) Run(ctx context.Context, a *app) error {
	// One of an earlier start would be taken for ours.
	if c.ReadyFile != "" {
		if err := os.Remove(c.ReadyFile); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("--ready-file: %w", err)
		}
	}
	dir, err := openDataDir(c.DataDir)
	if err != nil {
		return err
	}
	defer func() { _ = dir.close() }() // the end of the process would do
	s, err := startStack(ctx, stackOptions{
		DataDir:      dir,
		Database:     config.Database{DatabaseURL: c.Database},
		HTTP:         c.HTTP,
		Limits:       c.Limits,
		Log:          c.Logger(a.Stderr),
		Now:          a.Now,
		StripeListen: c.StripeListen,
	})
	if ctx.Err() != nil {
		return nil // asked to stop before it was up
	}
	if err != nil {
		return err
	}
	err = c.announce(a, s)
	if err == nil {
		select {
		case <-ctx.Done():
			a.printf("\nstopping\n")
		case err = <-s.served:
			err = fmt.Errorf("the service ended: %w", err)
		}
	}
	return errors.Join(err, s.stop(context.WithoutCancel(ctx)))
}

// announce says where everything is, to programs and to people.
func (c *devCmd) announce(a *app, s *stack) error {
	r := newReady(s)
	if c.ReadyFile != "" {
		if err := writeJSONAtomically(c.ReadyFile, r); err != nil {
			return fmt.Errorf("--ready-file: %w", err)
		}
	}
	c.welcome(a, r)
	return nil
}

// ready is what the ready file says. Programs outside rely on its keys.
type ready struct {
	APIURL             string            `json:"api_url"`
	DashboardURL       string            `json:"dashboard_url"`
	StripeURL          string            `json:"stripe_url"`
	DatabaseURL        string            `json:"database_url"`
	WebhookSecret      string            `json:"webhook_secret"`
	APIKey             string            `json:"api_key"`
	AdminEmail         string            `json:"admin_email"`
	AdminPassword      string            `json:"admin_password"`
	OrganizationID     wallet.ID         `json:"organization_id"`
	ExternalCustomerID string            `json:"external_customer_id"`
	WalletID           wallet.ID         `json:"wallet_id"`
	PaymentMethods     map[string]string `json:"payment_methods"`
}

func newReady(s *stack) ready {
	r := ready{
		APIURL:             s.apiURL,
		DashboardURL:       s.apiURL + "/admin",
		StripeURL:          s.sim.url,
		DatabaseURL:        s.databaseURL,
		WebhookSecret:      s.seed.WebhookSecret,
		APIKey:             s.seed.APIKey,
		AdminEmail:         s.seed.AdminEmail,
		AdminPassword:      s.seed.AdminPassword,
		OrganizationID:     s.seed.OrganizationID,
		ExternalCustomerID: s.seed.ExternalCustomerID,
		WalletID:           s.seed.WalletID,
		PaymentMethods:     map[string]string{},
	}
	for name, card := range s.seed.Cards {
		r.PaymentMethods[name] = s.seed.paymentMethod(name)
		r.PaymentMethods[name+"_uuid"] = card.ID.String()
	}
	return r
}

// welcome is the start page in the terminal.
func (c *devCmd) welcome(a *app, r ready) {
	a.printf(`
Fundrail is running, with a simulated Stripe and a test organization.

  API        %s   described at /docs
  Dashboard  %s   %s / %s
  Stripe     %s   simulated; any sk_test_ key will do
  Database   %s
  API key    %s

Put 25 dollars into the wallet:

  curl %s/v1/wallet/fund \
    -H 'Authorization: Bearer %s' \
    -H 'Content-Type: application/json' \
    -d '{"payment_method_id":"%s","amount":"25.00"}'

Other cards for payment_method_id:

`, r.APIURL, r.DashboardURL, r.AdminEmail, r.AdminPassword, r.StripeURL, r.DatabaseURL, r.APIKey,
		r.APIURL, r.APIKey, r.PaymentMethods["visa"])
	for _, card := range seededCards[1:] {
		a.printf("  %-24s %s\n", strings.ReplaceAll(card.name, "_", " "), r.PaymentMethods[card.name])
	}
	path, err := filepath.Abs(c.DataDir)
	if err != nil {
		path = c.DataDir
	}
	a.printf("\nCtrl-C stops everything. What happened is kept in %s.\n\n", path)
}
