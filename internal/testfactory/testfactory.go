// Package testfactory creates rows for tests. Every column has a default, so that a test
// names only what it is about: empty options give a valid row and the rows that it
// belongs to. Package postgres writes the rows, as in the service, so that the books of a
// test add up too.
package testfactory

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// Now is the creation time of all rows, and the fixed time of tests' clocks.
var Now = time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC)

// DB is a pool, or a transaction that a test rolls back.
type DB interface {
	postgres.DB
	Begin(ctx context.Context) (pgx.Tx, error)
}

// Token returns a unique name: prefix and 24 characters.
func Token(prefix string) string {
	return prefix + rand.Text()[:24]
}

// OrganizationOpts are the columns of an organization that a test may choose.
type OrganizationOpts struct {
	ID           wallet.ID
	Name         string
	NoEmail      bool // leave the account without a primary e-mail
	PrimaryEmail string
	Suspended    bool
}

// Organization stores an organization.
func Organization(tb testing.TB, db DB, opts OrganizationOpts) postgres.Organization {
	tb.Helper()

	o := postgres.Organization{
		ID:           orNewID(opts.ID),
		Name:         or(opts.Name, "Lighthouse Books"),
		PrimaryEmail: or(opts.PrimaryEmail, "billing@lighthouse.example"),
		CreatedAt:    Now,
	}
	if opts.NoEmail {
		o.PrimaryEmail = ""
	}
	require.NoError(tb, postgres.InsertOrganization(tb.Context(), db, o))
	if opts.Suspended {
		exec(tb, db, `update organizations set suspended_at = $2 where id = $1`, o.ID, Now)
	}
	return o
}

// APIKeyOpts are the columns of an API key that a test may choose.
type APIKeyOpts struct {
	ExpiresAt      *time.Time
	Key            string
	Mode           wallet.Mode
	OrganizationID wallet.ID
	Revoked        bool
	Scopes         []wallet.Scope // all unless given
}

// APIKey stores an API key and returns it with the key itself. It belongs to a new
// organization unless the options name one.
func APIKey(tb testing.TB, db DB, opts APIKeyOpts) (postgres.APIKey, string) {
	tb.Helper()

	k := postgres.APIKey{
		ID:             wallet.NewID(),
		OrganizationID: opts.OrganizationID,
		Mode:           or(opts.Mode, wallet.ModeTest),
		Name:           "Default",
		Scopes:         opts.Scopes,
		CreatedAt:      Now,
		ExpiresAt:      opts.ExpiresAt,
	}
	if k.OrganizationID == (wallet.ID{}) {
		k.OrganizationID = Organization(tb, db, OrganizationOpts{}).ID
	}
	key := or(opts.Key, Token("aks_"+string(k.Mode)+"_"))
	k.Hint = key[len(key)-4:]
	require.NoError(tb, postgres.InsertAPIKey(tb.Context(), db, k, key))
	if opts.Revoked {
		exec(tb, db, `update api_keys set revoked_at = $2 where id = $1`, k.ID, Now)
	}
	return k, key
}

// CustomerOpts are the columns of a customer that a test may choose.
type CustomerOpts struct {
	Email            string
	ExternalID       string
	Mode             wallet.Mode
	OrganizationID   wallet.ID
	StripeCustomerID string
}

// Customer stores a customer, of a new organization unless one is given.
func Customer(tb testing.TB, db DB, opts CustomerOpts) postgres.Customer {
	tb.Helper()

	c := postgres.Customer{
		ID:               wallet.NewID(),
		OrganizationID:   opts.OrganizationID,
		Mode:             or(opts.Mode, wallet.ModeTest),
		ExternalID:       or(opts.ExternalID, Token("reader_")),
		Email:            or(opts.Email, "ada@reader.example"),
		Name:             "Ada Reader",
		StripeCustomerID: or(opts.StripeCustomerID, Token("cus_")),
		CreatedAt:        Now,
	}
	if c.OrganizationID == (wallet.ID{}) {
		c.OrganizationID = Organization(tb, db, OrganizationOpts{}).ID
	}
	require.NoError(tb, postgres.InsertCustomer(tb.Context(), db, c))
	return c
}

// PaymentMethodOpts are the columns of a saved card that a test may choose.
type PaymentMethodOpts struct {
	Brand                 string
	Customer              postgres.Customer
	Deleted               bool
	ExpiryMonth           int
	ExpiryYear            int
	Fingerprint           string // of the card; none unless given
	IsDefault             bool
	Last4                 string
	StripePaymentMethodID string
}

// PaymentMethod stores a saved card, of a new customer unless one is given.
func PaymentMethod(tb testing.TB, db DB, opts PaymentMethodOpts) wallet.PaymentMethod {
	tb.Helper()

	customer := opts.Customer
	if customer.ID == (wallet.ID{}) {
		customer = Customer(tb, db, CustomerOpts{})
	}
	m := wallet.PaymentMethod{
		ID:                    wallet.NewID(),
		CustomerID:            customer.ID,
		StripePaymentMethodID: or(opts.StripePaymentMethodID, Token("pm_")),
		Brand:                 or(opts.Brand, "visa"),
		Last4:                 or(opts.Last4, "4242"),
		ExpiryMonth:           or(opts.ExpiryMonth, 12),
		ExpiryYear:            or(opts.ExpiryYear, 2034),
		IsDefault:             opts.IsDefault,
		CreatedAt:             Now,
	}
	require.NoError(tb, postgres.InsertPaymentMethod(tb.Context(), db, customer.OrganizationID, customer.Mode, m, opts.Fingerprint))
	if opts.Deleted {
		exec(tb, db, `update payment_methods set deleted_at = $2 where id = $1`, m.ID, Now)
	}
	return m
}

// WalletOpts are the columns of a wallet that a test may choose.
type WalletOpts struct {
	Currency   wallet.Currency
	Customer   postgres.Customer
	IsPrimary  bool
	RateAmount decimal.Decimal
}

// Wallet stores an empty wallet, of a new customer unless one is given. A wallet
// gets its balance from payments.
func Wallet(tb testing.TB, db DB, opts WalletOpts) wallet.Wallet {
	tb.Helper()

	customer := opts.Customer
	if customer.ID == (wallet.ID{}) {
		customer = Customer(tb, db, CustomerOpts{})
	}
	w := wallet.Wallet{
		ID:             wallet.NewID(),
		OrganizationID: customer.OrganizationID,
		Mode:           customer.Mode,
		CustomerID:     customer.ID,
		Currency:       or(opts.Currency, wallet.USD),
		RateAmount:     opts.RateAmount,
		IsPrimary:      opts.IsPrimary,
		CreatedAt:      Now,
	}
	if w.RateAmount.IsZero() {
		w.RateAmount = decimal.NewFromInt(1)
	}
	require.NoError(tb, pgx.BeginFunc(tb.Context(), db, func(tx pgx.Tx) error {
		return postgres.InsertWallet(tb.Context(), tx, w)
	}))
	return w
}

// MerchantOpts are the properties of a merchant that a test may choose.
type MerchantOpts struct {
	Currency   wallet.Currency
	Mode       wallet.Mode
	NoEmail    bool
	RateAmount decimal.Decimal
	Suspended  bool
}

// Merchant is an organization with everything that funding a wallet needs.
type Merchant struct {
	Organization  postgres.Organization
	Mode          wallet.Mode
	APIKeyID      wallet.ID
	APIKey        string // the key itself
	Customer      postgres.Customer
	PaymentMethod wallet.PaymentMethod // the customer's default card
	Wallet        wallet.Wallet        // the primary wallet, empty
}

// NewMerchant stores an organization with an API key, a customer with a card,
// and the primary wallet.
func NewMerchant(tb testing.TB, db DB, opts MerchantOpts) Merchant {
	tb.Helper()

	m := Merchant{
		Organization: Organization(tb, db, OrganizationOpts{NoEmail: opts.NoEmail, Suspended: opts.Suspended}),
		Mode:         or(opts.Mode, wallet.ModeTest),
	}
	key, secret := APIKey(tb, db, APIKeyOpts{Mode: m.Mode, OrganizationID: m.Organization.ID})
	m.APIKeyID, m.APIKey = key.ID, secret
	m.Customer = Customer(tb, db, CustomerOpts{Mode: m.Mode, OrganizationID: m.Organization.ID})
	m.PaymentMethod = PaymentMethod(tb, db, PaymentMethodOpts{Customer: m.Customer, IsDefault: true})
	m.Wallet = Wallet(tb, db, WalletOpts{
		Currency: opts.Currency, Customer: m.Customer, IsPrimary: true, RateAmount: opts.RateAmount,
	})
	return m
}

// exec changes a row in a way that the service has no function for.
func exec(tb testing.TB, db DB, sql string, args ...any) {
	tb.Helper()

	_, err := db.Exec(tb.Context(), sql, args...)
	require.NoError(tb, err)
}

func or[T comparable](given, otherwise T) T {
	var none T
	if given == none {
		return otherwise
	}
	return given
}

func orNewID(given wallet.ID) wallet.ID {
	if given == (wallet.ID{}) {
		return wallet.NewID()
	}
	return given
}
