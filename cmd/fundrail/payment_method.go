package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/config"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

type paymentMethodCmd struct {
	Add paymentMethodAddCmd `cmd:"" help:"Take on a card that Stripe has saved for the customer."`
}

type paymentMethodAddCmd struct {
	config.Database

	Customer    wallet.ID `required:"" placeholder:"ID" help:"Whose card it is."`
	StripeID    string    `required:"" name:"stripe-id" placeholder:"pm_…" help:"The card at Stripe, attached to the same customer there."`
	Brand       string    `required:"" placeholder:"visa" help:"The card's brand."`
	Last4       string    `required:"" name:"last4" placeholder:"4242" help:"The last four digits of its number."`
	Expires     string    `required:"" placeholder:"2030-12" help:"The year and month in which it expires."`
	Fingerprint string    `help:"What Stripe recognizes the card's number by."`
	Default     bool      `help:"Charge this card where none is named."`
	JSON        bool      `help:"Print one JSON object."`
}

// Run stores a payment method.
func (c *paymentMethodAddCmd) Run(ctx context.Context, a *app) error {
	expires, err := c.check()
	if err != nil {
		return err
	}
	m := wallet.PaymentMethod{
		ID: wallet.NewID(), CustomerID: c.Customer, StripePaymentMethodID: c.StripeID, Brand: c.Brand, Last4: c.Last4,
		ExpiryMonth: int(expires.Month()), ExpiryYear: expires.Year(), IsDefault: c.Default, CreatedAt: a.Now(),
	}
	var mode wallet.Mode
	err = withTx(ctx, c.Database, func(tx pgx.Tx) error {
		customer, err := postgres.GetCustomer(ctx, tx, c.Customer)
		if err != nil {
			return err
		}
		if customer.StripeCustomerID == "" {
			return fmt.Errorf("customer %s has no customer at Stripe, who could own the card", c.Customer)
		}
		mode = customer.Mode
		return postgres.InsertPaymentMethod(ctx, tx, customer.OrganizationID, customer.Mode, m, c.Fingerprint)
	})
	if err != nil {
		return err
	}
	spelled := wallet.Spell(wallet.PrefixPaymentMethod, mode, m.ID)
	if c.JSON {
		return a.printJSON(struct {
			PaymentMethodID   string    `json:"payment_method_id"`
			PaymentMethodUUID wallet.ID `json:"payment_method_uuid"`
		}{spelled, m.ID})
	}
	a.printf("payment method %s\n", spelled)
	return nil
}

var last4Form = regexp.MustCompile(`^[0-9]{4}$`)

func (c *paymentMethodAddCmd) check() (expires time.Time, err error) {
	var problems []error
	if !last4Form.MatchString(c.Last4) {
		problems = append(problems, fmt.Errorf("--last4: %q is not four digits", c.Last4))
	}
	expires, err = time.Parse("2006-01", c.Expires)
	if err != nil {
		problems = append(problems, fmt.Errorf("--expires: %q is not a year and month such as 2030-12", c.Expires))
	}
	return expires, errors.Join(problems...)
}
