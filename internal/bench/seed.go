package bench

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/big"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

const (
	// wallets is the number of merchants with one wallet and one card.
	wallets = 10_000
	// crowdCards is the number of cards of the last merchant.
	crowdCards = 10_000
)

// merchant is an organization with an API key, a customer with cards, and a primary
// wallet.
type merchant struct {
	organization, key, customer, wallet wallet.ID
	clearing                            wallet.ID // the account that settlements debit
	apiKey                              string
	cards                               []card
	stripeCustomer                      string
}

// card is a saved card.
type card struct {
	id           wallet.ID
	stripeMethod string
	// challenge reports whether the bank requires 3-D Secure each time.
	challenge bool
}

// newMerchant returns a new merchant. The argument first is the index of its first
// card among all cards. The share challenges of the cards, evenly spread, have a
// challenge.
func newMerchant(n, first, cards int, challenges float64) merchant {
	m := merchant{
		organization: wallet.NewID(), key: wallet.NewID(), customer: wallet.NewID(), wallet: wallet.NewID(),
		clearing:       wallet.NewID(),
		apiKey:         wallet.NewAPIKey(wallet.ModeTest),
		stripeCustomer: fmt.Sprintf("cus_bench%08d", n),
	}
	for i := first; i < first+cards; i++ {
		m.cards = append(m.cards, card{
			id:           wallet.NewID(),
			stripeMethod: fmt.Sprintf("pm_bench%010d", i),
			challenge:    int(float64(i+1)*challenges) > int(float64(i)*challenges),
		})
	}
	return m
}

// newMerchants returns merchants with one card each and a last one with many cards.
func newMerchants(challenges float64) []merchant {
	all := make([]merchant, wallets, wallets+1)
	for i := range all {
		all[i] = newMerchant(i, i, 1, challenges)
	}
	return append(all, newMerchant(wallets, wallets, crowdCards, challenges))
}

// insertMerchants stores merchants by COPY.
func insertMerchants(ctx context.Context, tx pgx.Tx, all []merchant, now time.Time) error {
	const (
		mode     = string(wallet.ModeTest)
		currency = string(wallet.USD)
	)
	one := pgtype.Numeric{Int: big.NewInt(1), Valid: true}
	var organizations, keys, customers, accounts, walletRows, methods [][]any
	for _, m := range all {
		organizations = append(organizations, []any{m.organization, "Bench", "billing@example.com", now})
		hash := sha256.Sum256([]byte(m.apiKey))
		keys = append(keys, []any{m.key, m.organization, mode, "Default", hash[:], m.apiKey[len(m.apiKey)-4:], now})
		customers = append(customers, []any{
			m.customer, m.organization, mode, m.stripeCustomer, "ada@example.com", "Ada Example", m.stripeCustomer, now, now,
		})
		for _, kind := range postgres.OrganizationAccounts {
			id := wallet.NewID()
			if kind == "stripe_clearing" {
				id = m.clearing
			}
			accounts = append(accounts, []any{id, m.organization, mode, currency, kind, now})
		}
		accounts = append(accounts, []any{m.wallet, m.organization, mode, currency, "wallet", now})
		walletRows = append(walletRows, []any{m.wallet, m.organization, mode, m.customer, currency, one, true, "default", now, now})
		for _, c := range m.cards {
			methods = append(methods, []any{c.id, m.organization, mode, m.customer, c.stripeMethod, "visa", "4242", 12, 2034, now})
		}
	}
	for _, t := range []struct {
		name    string
		columns []string
		rows    [][]any
	}{
		{"organizations", []string{"id", "name", "primary_email", "created_at"}, organizations},
		{"api_keys", []string{"id", "organization_id", "mode", "name", "key_hash", "hint", "created_at"}, keys},
		{"customers", []string{
			"id", "organization_id", "mode", "external_id", "email", "name", "stripe_customer_id", "created_at", "updated_at",
		}, customers},
		{"accounts", []string{"id", "organization_id", "mode", "currency", "kind", "created_at"}, accounts},
		{"wallets", []string{
			"id", "organization_id", "mode", "customer_id", "currency", "rate_amount", "is_primary", "code", "created_at", "updated_at",
		}, walletRows},
		{"payment_methods", []string{
			"id", "organization_id", "mode", "customer_id", "stripe_payment_method_id", "brand", "last4",
			"expiry_month", "expiry_year", "created_at",
		}, methods},
	} {
		if _, err := tx.CopyFrom(ctx, pgx.Identifier{t.name}, t.columns, pgx.CopyFromRows(t.rows)); err != nil {
			return fmt.Errorf("copy into %s: %w", t.name, err)
		}
	}
	return nil
}
