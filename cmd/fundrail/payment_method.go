package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fundrail/fundrail/internal/config"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/wallet"
)

type paymentMethodCmd struct {
	Add paymentMethodAddCmd `cmd:"" help:"Add a card that Stripe has saved for the customer."`
}

type paymentMethodAddCmd struct {
	config.Database
	config.Stripe

	Customer wallet.ID `required:"" placeholder:"ID" help:"The card's customer."`
	StripeID string    `required:"" name:"stripe-id" placeholder:"pm_…" help:"The card at Stripe, attached to the same customer there."`
	Default  bool      `help:"Make it the customer's default card."`
	JSON     bool      `help:"Print one JSON object."`
}

// Run retrieves the card from Stripe and stores it.
func (c *paymentMethodAddCmd) Run(ctx context.Context, a *app) error {
	return withPool(ctx, c.Database, func(pool *pgxpool.Pool) error {
		customer, err := postgres.GetCustomer(ctx, pool, c.Customer)
		if err != nil {
			return err
		}
		card, err := c.ask(ctx, customer)
		if err != nil {
			return err
		}
		m := wallet.PaymentMethod{
			ID: wallet.NewID(), CustomerID: c.Customer, StripePaymentMethodID: card.ID, Brand: card.Brand, Last4: card.Last4,
			ExpiryMonth: card.ExpiryMonth, ExpiryYear: card.ExpiryYear, IsDefault: c.Default, CreatedAt: a.Now(),
		}
		err = postgres.InsertPaymentMethod(ctx, pool, customer.OrganizationID, customer.Mode, m, card.Fingerprint)
		if err != nil {
			return err
		}
		return c.print(a, customer.Mode, m)
	})
}

// ask retrieves the card from Stripe. It must belong to the customer at Stripe,
// otherwise it could not be charged.
func (c *paymentMethodAddCmd) ask(ctx context.Context, customer postgres.Customer) (stripeapi.PaymentMethod, error) {
	client, err := stripeapi.New(stripeapi.Config{
		Mode: customer.Mode, SecretKey: string(c.SecretKey(customer.Mode)), URL: c.StripeAPIURL,
	})
	if err != nil {
		return stripeapi.PaymentMethod{}, err
	}
	card, err := client.GetPaymentMethod(ctx, c.StripeID)
	switch {
	case err != nil:
		return card, err
	case card.Type != "card":
		return card, fmt.Errorf("--stripe-id: %s is not a card but %s", c.StripeID, card.Type)
	case card.CustomerID == "" || card.CustomerID != customer.StripeCustomerID:
		return card, fmt.Errorf("--stripe-id: Stripe has %s attached to customer %q, and customer %s is %q there",
			c.StripeID, card.CustomerID, customer.ID, customer.StripeCustomerID)
	}
	return card, nil
}

func (c *paymentMethodAddCmd) print(a *app, mode wallet.Mode, m wallet.PaymentMethod) error {
	spelled := wallet.Spell(wallet.PrefixPaymentMethod, mode, m.ID)
	if c.JSON {
		return a.printJSON(struct {
			PaymentMethodID   string    `json:"payment_method_id"`
			PaymentMethodUUID wallet.ID `json:"payment_method_uuid"`
		}{spelled, m.ID})
	}
	a.printf("payment method %s, %s ending in %s\n", spelled, m.Brand, m.Last4)
	return nil
}
