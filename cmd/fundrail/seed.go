package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/stripesim"
	"github.com/fundrail/fundrail/internal/wallet"
)

// seededCards are the cards of the seeded customer, and what the simulator calls
// the test card that each of them is.
var seededCards = []struct{ name, testCard string }{
	{"visa", "pm_card_visa"},
	{"three_d_secure_required", "pm_card_threeDSecure2Required"},
	{"charge_declined", "pm_card_visa_chargeDeclined"},
	{"insufficient_funds", "pm_card_visa_chargeDeclinedInsufficientFunds"},
	{"expired_card", "pm_card_chargeDeclinedExpiredCard"},
	{"processing_error", "pm_card_chargeDeclinedProcessingError"},
	{"dispute", "pm_card_createDispute"},
}

// The seeded customer.
const (
	seededEmail = "ada@example.com"
	seededName  = "Ada Example"
)

// stripeTestKey is what the seeded service calls the simulator with, which takes
// any key of test mode.
const stripeTestKey = "sk_test_fundrail"

// seed is the organization that dev and demo begin with. A data directory keeps
// it, so that keys and ids stay what they are from one start to the next.
type seed struct {
	AdminEmail         string              `json:"admin_email"`
	AdminPassword      string              `json:"admin_password"`
	APIKey             string              `json:"api_key"`
	Cards              map[string]seedCard `json:"cards"`
	CreatedAt          time.Time           `json:"created_at"`
	CustomerID         wallet.ID           `json:"customer_id"`
	ExternalCustomerID string              `json:"external_customer_id"`
	KeyID              wallet.ID           `json:"key_id"`
	OrganizationID     wallet.ID           `json:"organization_id"`
	StripeCustomerID   string              `json:"stripe_customer_id"`
	WalletID           wallet.ID           `json:"wallet_id"`
	WebhookSecret      string              `json:"webhook_secret"`

	// Where the service and the simulator answered last. Links that were handed
	// out then go on working when a start that may pick picks the same again.
	ListenAddr       string `json:"listen_addr"`
	StripeListenAddr string `json:"stripe_listen_addr"`
}

// seedCard is a card of the seed by its two ids.
type seedCard struct {
	ID       wallet.ID `json:"id"`
	StripeID string    `json:"stripe_id"`
}

// newSeed thinks up an organization of which nothing exists yet.
func newSeed(now time.Time) *seed {
	s := &seed{
		AdminEmail:         "admin@fundrail.test",
		AdminPassword:      rand.Text(),
		APIKey:             wallet.NewAPIKey(wallet.ModeTest),
		Cards:              map[string]seedCard{},
		CreatedAt:          now.UTC().Truncate(time.Microsecond),
		CustomerID:         wallet.NewID(),
		ExternalCustomerID: "customer-1",
		KeyID:              wallet.NewID(),
		OrganizationID:     wallet.NewID(),
		StripeCustomerID:   "cus_" + rand.Text()[:14],
		WalletID:           wallet.NewID(),
		WebhookSecret:      "whsec_" + rand.Text(),
	}
	for _, c := range seededCards {
		s.Cards[c.name] = seedCard{ID: wallet.NewID(), StripeID: "pm_" + rand.Text()[:24]}
	}
	return s
}

// loadSeed reads the seed of a data directory, or thinks up a new one.
func loadSeed(d *dataDir, now time.Time) (*seed, error) {
	content, err := os.ReadFile(d.file(seedFile))
	if errors.Is(err, os.ErrNotExist) {
		return newSeed(now), nil
	}
	if err != nil {
		return nil, err
	}
	var s seed
	if err := json.Unmarshal(content, &s); err != nil {
		return nil, fmt.Errorf("%s: %w", d.file(seedFile), err)
	}
	return &s, nil
}

func (s *seed) save(d *dataDir) error { return writeJSONAtomically(d.file(seedFile), s) }

// createAtStripe makes the customer and the cards at the simulator, unless it
// has them.
func (s *seed) createAtStripe(sim *stripesim.Server) error {
	_, err := sim.CreateCustomer(stripesim.NewCustomer{ID: s.StripeCustomerID, Email: seededEmail, Name: seededName})
	if err != nil {
		return err
	}
	for _, c := range seededCards {
		// Stripe itself refuses to save cards that decline.
		card := stripesim.SavedCard{Card: c.testCard, Customer: s.StripeCustomerID, ID: s.Cards[c.name].StripeID}
		if _, err := sim.CreatePaymentMethod(card); err != nil {
			return err
		}
	}
	return nil
}

// createInDatabase makes the organization with all that belongs to it in one
// transaction, unless the database has it. What the cards look like is Stripe's
// to say.
func (s *seed) createInDatabase(ctx context.Context, pool *pgxpool.Pool, stripe *stripeapi.Client) error {
	if err := ensureAdmin(ctx, pool, s.AdminEmail, s.AdminPassword, s.CreatedAt); err != nil {
		return err
	}
	_, err := postgres.GetOrganization(ctx, pool, s.OrganizationID)
	if !wallet.HasCode(err, wallet.CodeNotFound) {
		return err
	}
	cards := make([]stripeapi.PaymentMethod, len(seededCards))
	for i, c := range seededCards {
		if cards[i], err = stripe.GetPaymentMethod(ctx, s.Cards[c.name].StripeID); err != nil {
			return err
		}
	}
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if err := s.insertOrganization(ctx, tx); err != nil {
			return err
		}
		if err := s.insertCustomer(ctx, tx); err != nil {
			return err
		}
		if err := s.insertWallet(ctx, tx); err != nil {
			return err
		}
		return s.insertCards(ctx, tx, cards)
	})
}

func (s *seed) insertOrganization(ctx context.Context, tx pgx.Tx) error {
	err := postgres.InsertOrganization(ctx, tx, postgres.Organization{
		ID: s.OrganizationID, Name: "Example Inc.", PrimaryEmail: "billing@example.com", CreatedAt: s.CreatedAt,
	})
	if err != nil {
		return err
	}
	return postgres.InsertAPIKey(ctx, tx, postgres.APIKey{
		ID: s.KeyID, OrganizationID: s.OrganizationID, Mode: wallet.ModeTest, Name: "Default",
		Hint: s.APIKey[len(s.APIKey)-4:], CreatedAt: s.CreatedAt,
	}, s.APIKey)
}

func (s *seed) insertCustomer(ctx context.Context, tx pgx.Tx) error {
	return postgres.InsertCustomer(ctx, tx, postgres.Customer{
		ID: s.CustomerID, OrganizationID: s.OrganizationID, Mode: wallet.ModeTest, ExternalID: s.ExternalCustomerID,
		Email: seededEmail, Name: seededName, StripeCustomerID: s.StripeCustomerID, CreatedAt: s.CreatedAt,
	})
}

func (s *seed) insertWallet(ctx context.Context, tx pgx.Tx) error {
	return postgres.InsertWallet(ctx, tx, wallet.Wallet{
		ID: s.WalletID, OrganizationID: s.OrganizationID, Mode: wallet.ModeTest, CustomerID: s.CustomerID,
		Currency: wallet.USD, RateAmount: decimal.NewFromInt(1), IsPrimary: true, CreatedAt: s.CreatedAt,
	})
}

func (s *seed) insertCards(ctx context.Context, tx pgx.Tx, cards []stripeapi.PaymentMethod) error {
	for i, c := range seededCards {
		card := cards[i]
		err := postgres.InsertPaymentMethod(ctx, tx, s.OrganizationID, wallet.ModeTest, wallet.PaymentMethod{
			ID: s.Cards[c.name].ID, CustomerID: s.CustomerID, StripePaymentMethodID: card.ID,
			Brand: card.Brand, Last4: card.Last4, ExpiryMonth: card.ExpiryMonth, ExpiryYear: card.ExpiryYear,
			IsDefault: c.name == "visa", CreatedAt: s.CreatedAt,
		}, card.Fingerprint)
		if err != nil {
			return err
		}
	}
	return nil
}

// paymentMethod is a seeded card's id as the Lava dialect spells it.
func (s *seed) paymentMethod(name string) string {
	return wallet.Spell(wallet.PrefixPaymentMethod, wallet.ModeTest, s.Cards[name].ID)
}
