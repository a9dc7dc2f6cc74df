package main

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fundrail/fundrail/internal/config"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/wallet"
)

type customerCmd struct {
	Create customerCreateCmd `cmd:"" help:"Create a customer."`
}

type customerCreateCmd struct {
	config.Database
	// Stripe is optional here.
	Stripe config.Stripe `embed:""`

	Organization wallet.ID   `required:"" placeholder:"ID" help:"The customer's organization."`
	Mode         wallet.Mode `enum:"test,live" default:"test" help:"test or live."`
	ExternalID   string      `required:"" name:"external-id" help:"The merchant's id of the customer."`
	StripeID     string      `name:"stripe-id" placeholder:"cus_…" help:"The customer at Stripe who owns the cards. Default: a new one, if there is a Stripe key for the mode."`
	Email        string      `help:"E-mail address."`
	Name         string      `help:"Name."`
	JSON         bool        `help:"Print one JSON object."`
}

// Run creates a customer.
func (c *customerCreateCmd) Run(ctx context.Context, a *app) error {
	if err := checkEmail(c.Email); err != nil {
		return err
	}
	customer := postgres.Customer{
		ID: wallet.NewID(), OrganizationID: c.Organization, Mode: c.Mode, ExternalID: c.ExternalID,
		Email: c.Email, Name: c.Name, StripeCustomerID: c.StripeID, CreatedAt: a.Now(),
	}
	err := withPool(ctx, c.Database, func(pool *pgxpool.Pool) (err error) {
		if _, err := postgres.GetOrganization(ctx, pool, c.Organization); err != nil {
			return err
		}
		if c.StripeID == "" && c.Stripe.SecretKey(c.Mode) != "" {
			if customer.StripeCustomerID, err = c.createAtStripe(ctx, customer.ID); err != nil {
				return err
			}
		}
		return postgres.InsertCustomer(ctx, pool, customer)
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return a.printJSON(struct {
			CustomerID wallet.ID `json:"customer_id"`
		}{customer.ID})
	}
	a.printf("customer %s\n", customer.ID)
	return nil
}

func (c *customerCreateCmd) createAtStripe(ctx context.Context, id wallet.ID) (string, error) {
	if err := c.Stripe.Check(); err != nil {
		return "", err
	}
	client, err := stripeapi.New(stripeapi.Config{
		Mode: c.Mode, SecretKey: string(c.Stripe.SecretKey(c.Mode)), URL: c.Stripe.StripeAPIURL,
	})
	if err != nil {
		return "", err
	}
	return client.CreateCustomer(ctx, stripeapi.CustomerRequest{
		CustomerID: id, OrganizationID: c.Organization, ExternalID: c.ExternalID, Email: c.Email, Name: c.Name,
	})
}
