package torture

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripesim"
	"github.com/fundrail/fundrail/internal/wallet"
)

// merchant is an organization with an API key, a wallet, and a customer who has one
// card of each kind.
type merchant struct {
	apiKey           string
	walletID         wallet.ID
	endpointID       wallet.ID // the endpoint that receives its events
	stripeCustomerID string
	methods          map[string]wallet.ID // by card
}

// createMerchant creates a merchant in the database and in the simulator.
func createMerchant(ctx context.Context, pool *pgxpool.Pool, sim *stripesim.Server, endpoint *receiver, n int, now time.Time) (merchant, error) {
	m := merchant{
		apiKey:           fmt.Sprintf("aks_test_torture%032d", n),
		walletID:         wallet.NewID(),
		endpointID:       wallet.NewID(),
		stripeCustomerID: fmt.Sprintf("cus_torture%d", n),
		methods:          map[string]wallet.ID{},
	}
	if _, err := sim.CreateCustomer(stripesim.NewCustomer{ID: m.stripeCustomerID}); err != nil {
		return m, err
	}
	organization := postgres.Organization{
		ID: wallet.NewID(), Name: fmt.Sprintf("Merchant %d", n), PrimaryEmail: "billing@merchant.example", CreatedAt: now,
	}
	customer := postgres.Customer{
		ID: wallet.NewID(), OrganizationID: organization.ID, Mode: wallet.ModeTest, ExternalID: "cardholder",
		Email: "cardholder@merchant.example", StripeCustomerID: m.stripeCustomerID, CreatedAt: now,
	}
	return m, pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if err := postgres.InsertOrganization(ctx, tx, organization); err != nil {
			return err
		}
		key := postgres.APIKey{
			ID: wallet.NewID(), OrganizationID: organization.ID, Mode: wallet.ModeTest, Name: "Storm",
			Hint: m.apiKey[len(m.apiKey)-4:], CreatedAt: now,
		}
		if err := postgres.InsertAPIKey(ctx, tx, key, m.apiKey); err != nil {
			return err
		}
		if err := postgres.InsertCustomer(ctx, tx, customer); err != nil {
			return err
		}
		if err := postgres.InsertWallet(ctx, tx, wallet.Wallet{
			ID: m.walletID, OrganizationID: organization.ID, Mode: wallet.ModeTest, CustomerID: customer.ID,
			Currency: wallet.USD, RateAmount: decimal.NewFromInt(1), IsPrimary: true, CreatedAt: now,
		}); err != nil {
			return err
		}
		if err := m.createEndpoint(ctx, tx, endpoint, organization.ID, n, now); err != nil {
			return err
		}
		return m.createCards(ctx, tx, sim, customer)
	})
}

// createEndpoint registers an endpoint for all events. Merchants use different
// dialects.
func (m merchant) createEndpoint(ctx context.Context, tx pgx.Tx, endpoint *receiver, organization wallet.ID, n int, now time.Time) error {
	e := wallet.Endpoint{
		ID: m.endpointID, OrganizationID: organization, Mode: wallet.ModeTest, Name: "Storm", URL: endpoint.address(n),
		Signature: signature(n), CreatedAt: now,
	}
	return postgres.InsertEndpoint(ctx, tx, e, wallet.DeliveryTypes, endpoint.secrets[n], postgres.DefaultEndpointLimit)
}

func (m merchant) createCards(ctx context.Context, tx pgx.Tx, sim *stripesim.Server, customer postgres.Customer) error {
	for _, c := range cards {
		saved, err := sim.CreatePaymentMethod(stripesim.SavedCard{Card: c.id, Customer: m.stripeCustomerID})
		if err != nil {
			return err
		}
		method := wallet.PaymentMethod{
			ID: wallet.NewID(), CustomerID: customer.ID, StripePaymentMethodID: saved.ID, Brand: "visa", Last4: "4242",
			ExpiryMonth: 12, ExpiryYear: 2034, CreatedAt: customer.CreatedAt,
		}
		if err := postgres.InsertPaymentMethod(ctx, tx, customer.OrganizationID, customer.Mode, method, ""); err != nil {
			return err
		}
		m.methods[c.id] = method.ID
	}
	return nil
}
