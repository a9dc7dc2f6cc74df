package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/fundrail/fundrail/internal/config"
	"github.com/fundrail/fundrail/internal/devstack"
	"github.com/fundrail/fundrail/internal/wallet"
)

type devCmd struct {
	// Database is optional here, unlike in config.Database.
	Database     config.Secret `name:"database-url" env:"DATABASE_URL" group:"Settings" placeholder:"postgres://…" help:"PostgreSQL to work on. Default: a private one."`
	DataDir      string        `default:".fundrail" help:"Directory that keeps the state from one start to the next."`
	StripeListen string        `default:"127.0.0.1:12111" help:"Host and port of the simulated Stripe; port 0 picks one."`
	ReadyFile    string        `placeholder:"PATH" help:"File to write addresses, ids and keys to once everything answers."`

	config.HTTP
	config.Limits
	config.Log
}

// Run runs the stack until the context ends.
func (c *devCmd) Run(ctx context.Context, a *app) error {
	// A ready file of an earlier start would say that this one is ready.
	if c.ReadyFile != "" {
		if err := os.Remove(c.ReadyFile); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("--ready-file: %w", err)
		}
	}
	dir, err := devstack.OpenDataDir(c.DataDir)
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }() // only releases the lock
	s, err := devstack.Start(ctx, devstack.Options{
		DataDir:      dir,
		DatabaseURL:  c.Database,
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
		case err = <-s.Served():
			err = fmt.Errorf("the service ended: %w", err)
		}
	}
	return errors.Join(err, s.Stop(context.WithoutCancel(ctx)))
}

// announce writes the ready file and prints where everything is.
func (c *devCmd) announce(a *app, s *devstack.Stack) error {
	r := newReady(s)
	if c.ReadyFile != "" {
		if err := devstack.WriteJSON(c.ReadyFile, r); err != nil {
			return fmt.Errorf("--ready-file: %w", err)
		}
	}
	c.welcome(a, r)
	return nil
}

// ready is the content of the ready file. Programs outside this repository rely on its
// keys.
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

func newReady(s *devstack.Stack) ready {
	r := ready{
		APIURL:             s.APIURL,
		DashboardURL:       s.APIURL + "/admin",
		StripeURL:          s.StripeURL,
		DatabaseURL:        s.DatabaseURL,
		WebhookSecret:      s.Seed.WebhookSecret,
		APIKey:             s.Seed.APIKey,
		AdminEmail:         s.Seed.AdminEmail,
		AdminPassword:      s.Seed.AdminPassword,
		OrganizationID:     s.Seed.OrganizationID,
		ExternalCustomerID: s.Seed.ExternalCustomerID,
		WalletID:           s.Seed.WalletID,
		PaymentMethods:     map[string]string{},
	}
	for name, card := range s.Seed.Cards {
		r.PaymentMethods[name] = s.Seed.PaymentMethod(name)
		r.PaymentMethods[name+"_uuid"] = card.ID.String()
	}
	return r
}

// welcome prints how to use the stack.
func (c *devCmd) welcome(a *app, r ready) {
	a.printf(`
Fundrail is running, with a simulated Stripe and a test organization.

  API        %s   described at /docs
  Dashboard  %s   %s / %s
  Stripe     %s   simulated; it accepts any sk_test_ key
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
	for _, name := range devstack.CardNames()[1:] {
		a.printf("  %-24s %s\n", strings.ReplaceAll(name, "_", " "), r.PaymentMethods[name])
	}
	path, err := filepath.Abs(c.DataDir)
	if err != nil {
		path = c.DataDir
	}
	a.printf("\nCtrl-C stops everything. The state is kept in %s.\n\n", path)
}
