package devstack

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

// seededCards are the cards of the seeded customer. testCard is the simulator's name of
// the test card.
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

// StripeKey is the service's key at the simulator, which accepts any key of test mode.
const StripeKey = "sk_test_fundrail"

// CardNames returns the names of the seeded cards. The first card always succeeds.
func CardNames() []string {
	names := make([]string, len(seededCards))
	for i, c := range seededCards {
		names[i] = c.name
	}
	return names
}

// Seed is the organization that a stack begins with. A data directory keeps it, so that
// its keys and ids are the same at every start.
type Seed struct {
	AdminEmail         string          `json:"admin_email"`
	AdminPassword      string          `json:"admin_password"`
	APIKey             string          `json:"api_key"`
	Cards              map[string]Card `json:"cards"`
	CreatedAt          time.Time       `json:"created_at"`
	CustomerID         wallet.ID       `json:"customer_id"`
	ExternalCustomerID string          `json:"external_customer_id"`
	KeyID              wallet.ID       `json:"key_id"`
	OrganizationID     wallet.ID       `json:"organization_id"`
	StripeCustomerID   string          `json:"stripe_customer_id"`
	WalletID           wallet.ID       `json:"wallet_id"`
	WebhookSecret      string          `json:"webhook_secret"`

	// The addresses of the service and the simulator at the last start. A start on
	// any free port tries them first, so that links from before stay valid.
	ListenAddr       string `json:"listen_addr"`
	StripeListenAddr string `json:"stripe_listen_addr"`
}

// Card holds the two ids of a seeded card: Fundrail's and Stripe's.
type Card struct {
	ID       wallet.ID `json:"id"`
	StripeID string    `json:"stripe_id"`
}

// newSeed returns an organization with new ids and keys, which nothing has stored yet.
func newSeed(now time.Time) *Seed {
	s := &Seed{
		AdminEmail:         "admin@fundrail.test",
		AdminPassword:      rand.Text(),
		APIKey:             wallet.NewAPIKey(wallet.ModeTest),
		Cards:              map[string]Card{},
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
		s.Cards[c.name] = Card{ID: wallet.NewID(), StripeID: "pm_" + rand.Text()[:24]}
	}
	return s
}

// loadSeed reads the seed of a data directory. It returns a new seed if the directory
// has none.
func loadSeed(d *DataDir, now time.Time) (*Seed, error) {
	content, err := os.ReadFile(d.file(seedFile))
	if errors.Is(err, os.ErrNotExist) {
		return newSeed(now), nil
	}
	if err != nil {
		return nil, err
	}
	var s Seed
	if err := json.Unmarshal(content, &s); err != nil {
		return nil, fmt.Errorf("%s: %w", d.file(seedFile), err)
	}
	return &s, nil
}

func (s *Seed) save(d *DataDir) error { return WriteJSON(d.file(seedFile), s) }

// createAtStripe creates the customer and the cards at the simulator, unless they
// exist.
func (s *Seed) createAtStripe(sim *stripesim.Server) error {
	_, err := sim.CreateCustomer(stripesim.NewCustomer{ID: s.StripeCustomerID, Email: seededEmail, Name: seededName})
	if err != nil {
		return err
	}
	for _, c := range seededCards {
		// The simulator's Go API saves cards that decline, which Stripe's API refuses.
		card := stripesim.SavedCard{Card: c.testCard, Customer: s.StripeCustomerID, ID: s.Cards[c.name].StripeID}
		if _, err := sim.CreatePaymentMethod(card); err != nil {
			return err
		}
	}
	return nil
}

// createInDatabase creates the organization and everything that belongs to it in one
// transaction, unless it exists. Stripe supplies the brand, the last digits and the
// expiry of the cards.
func (s *Seed) createInDatabase(ctx context.Context, pool *pgxpool.Pool, stripe *stripeapi.Client) error {
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

func (s *Seed) insertOrganization(ctx context.Context, tx pgx.Tx) error {
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

func (s *Seed) insertCustomer(ctx context.Context, tx pgx.Tx) error {
	return postgres.InsertCustomer(ctx, tx, postgres.Customer{
		ID: s.CustomerID, OrganizationID: s.OrganizationID, Mode: wallet.ModeTest, ExternalID: s.ExternalCustomerID,
		Email: seededEmail, Name: seededName, StripeCustomerID: s.StripeCustomerID, CreatedAt: s.CreatedAt,
	})
}

func (s *Seed) insertWallet(ctx context.Context, tx pgx.Tx) error {
	return postgres.InsertWallet(ctx, tx, wallet.Wallet{
		ID: s.WalletID, OrganizationID: s.OrganizationID, Mode: wallet.ModeTest, CustomerID: s.CustomerID,
		Currency: wallet.USD, RateAmount: decimal.NewFromInt(1), IsPrimary: true, CreatedAt: s.CreatedAt,
	})
}

func (s *Seed) insertCards(ctx context.Context, tx pgx.Tx, cards []stripeapi.PaymentMethod) error {
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

// PaymentMethod returns the id of a seeded card as the Lava dialect spells it.
func (s *Seed) PaymentMethod(name string) string {
	return wallet.Spell(wallet.PrefixPaymentMethod, wallet.ModeTest, s.Cards[name].ID)
}
