package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"github.com/fundrail/fundrail/internal/config"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

type walletCmd struct {
	Create walletCreateCmd `cmd:"" help:"Create a wallet. The first one of an organization in a mode is the wallet of its API keys."`
}

type walletCreateCmd struct {
	config.Database

	Customer wallet.ID       `required:"" placeholder:"ID" help:"The wallet's customer."`
	Currency wallet.Currency `default:"USD" help:"ISO 4217 code."`
	Rate     decimal.Decimal `default:"1.0" help:"Price of one credit."`
	JSON     bool            `help:"Print one JSON object."`
}

// Run creates an empty wallet.
func (c *walletCreateCmd) Run(ctx context.Context, a *app) error {
	if err := c.check(); err != nil {
		return err
	}
	w := wallet.Wallet{ID: wallet.NewID(), CustomerID: c.Customer, Currency: c.Currency, RateAmount: c.Rate, CreatedAt: a.Now()}
	err := withTx(ctx, c.Database, func(tx pgx.Tx) error {
		customer, err := postgres.GetCustomer(ctx, tx, c.Customer)
		if err != nil {
			return err
		}
		hasPrimary, err := postgres.HasPrimaryWallet(ctx, tx, customer.OrganizationID, customer.Mode)
		if err != nil {
			return err
		}
		w.OrganizationID, w.Mode = customer.OrganizationID, customer.Mode
		// The keys' wallet is charged through the Lava dialect, which knows only dollars.
		w.IsPrimary = !hasPrimary && c.Currency == wallet.USD
		return postgres.InsertWallet(ctx, tx, w)
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return a.printJSON(struct {
			WalletID wallet.ID `json:"wallet_id"`
		}{w.ID})
	}
	a.printf("wallet %s\n", w.ID)
	if w.IsPrimary {
		a.printf("It is the primary wallet, which the organization's %s keys use.\n", w.Mode)
	}
	return nil
}

var currencyForm = regexp.MustCompile(`^[A-Z]{3}$`)

func (c *walletCreateCmd) check() error {
	var problems []error
	if !currencyForm.MatchString(string(c.Currency)) {
		problems = append(problems, fmt.Errorf("--currency: %q is not an ISO 4217 code such as USD", c.Currency))
	}
	if c.Rate.Sign() <= 0 {
		problems = append(problems, errors.New("--rate must be above zero"))
	}
	return errors.Join(problems...)
}
