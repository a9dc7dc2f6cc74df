package postgres_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testdb"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

func TestUpsertCustomer(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	o := testfactory.Organization(t, pool, testfactory.OrganizationOpts{})
	s := func(s string) *string { return &s }
	upsert := func(change postgres.CustomerChange) (postgres.Customer, error) {
		return postgres.UpsertCustomer(t.Context(), pool, o.ID, wallet.ModeTest, "reader", change, now)
	}

	made, err := upsert(postgres.CustomerChange{
		Name: s("Ada"), Email: s("ada@reader.example"), Timezone: s("Asia/Tokyo"), StripeCustomerID: s("cus_1"),
		Profile: json.RawMessage(`{"city":"London","country":"GB"}`),
	})
	require.NoError(t, err)
	require.Equal(t, "Asia/Tokyo", made.Timezone)

	changed, err := upsert(postgres.CustomerChange{Email: s(""), Firstname: s("Ada"), Currency: s("EUR"), Profile: json.RawMessage(`{"city":"Paris"}`)})
	require.NoError(t, err)
	require.Equal(t, made.ID, changed.ID)
	require.Equal(t, []string{"Ada", "", "Ada", "EUR", "Asia/Tokyo", "cus_1"},
		[]string{changed.Name, changed.Email, changed.Firstname, string(changed.Currency), changed.Timezone, changed.StripeCustomerID})
	require.JSONEq(t, `{"city":"Paris","country":"GB"}`, string(changed.Profile))

	_, err = upsert(postgres.CustomerChange{Timezone: s("Mars/Olympus")})
	requireInvalid(t, err, []wallet.Finding{{Field: wallet.FieldTimezone, Problem: wallet.ProblemInvalid}})
	_, err = upsert(postgres.CustomerChange{Currency: s("euro")})
	requireInvalid(t, err, []wallet.Finding{{Field: wallet.FieldCurrency, Problem: wallet.ProblemInvalid}})
	_, err = postgres.UpsertCustomer(t.Context(), pool, o.ID, wallet.ModeTest, "other", postgres.CustomerChange{StripeCustomerID: s("cus_1")}, now)
	requireInvalid(t, err, []wallet.Finding{{Field: wallet.FieldStripeCustomer, Problem: wallet.ProblemTaken}})

	list, total, err := postgres.ListCustomers(t.Context(), pool, o.ID, wallet.ModeTest, wallet.Page{})
	require.NoError(t, err)
	require.Equal(t, 1, total)
	require.Equal(t, changed, list[0])
	_, total, err = postgres.ListCustomers(t.Context(), pool, o.ID, wallet.ModeLive, wallet.Page{})
	require.NoError(t, err)
	require.Zero(t, total)
	_, err = postgres.FindCustomer(t.Context(), pool, o.ID, wallet.ModeLive, "reader")
	require.True(t, wallet.HasCode(err, wallet.CodeCustomerNotFound))
}

func TestPaymentMethods(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
	second := testfactory.PaymentMethod(t, pool, testfactory.PaymentMethodOpts{Customer: m.Customer})
	foreign := testfactory.PaymentMethod(t, pool, testfactory.PaymentMethodOpts{})
	setDefault := func(id wallet.ID) error {
		return pgx.BeginFunc(context.WithoutCancel(t.Context()), pool, func(tx pgx.Tx) error {
			_, err := postgres.SetDefaultPaymentMethod(t.Context(), tx, m.Customer.ID, id)
			return err
		})
	}

	require.NoError(t, setDefault(second.ID))
	list, err := postgres.ListPaymentMethods(t.Context(), pool, m.Customer.ID)
	require.NoError(t, err)
	require.Equal(t, []wallet.ID{second.ID, m.PaymentMethod.ID}, []wallet.ID{list[0].ID, list[1].ID})
	require.False(t, list[1].IsDefault)
	require.True(t, wallet.HasCode(setDefault(foreign.ID), wallet.CodePaymentMethodNotFound))

	removed, err := postgres.RemovePaymentMethod(t.Context(), pool, m.Customer.ID, second.ID, now)
	require.NoError(t, err)
	require.False(t, removed.IsDefault)
	_, err = postgres.RemovePaymentMethod(t.Context(), pool, m.Customer.ID, second.ID, now)
	require.True(t, wallet.HasCode(err, wallet.CodePaymentMethodNotFound))
	require.True(t, wallet.HasCode(setDefault(second.ID), wallet.CodePaymentMethodNotFound))
	list, err = postgres.ListPaymentMethods(t.Context(), pool, m.Customer.ID)
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.False(t, list[0].IsDefault, "no other card becomes the default")
}

// TestChargedCard tests which card is charged: that of the request, of the wallet, or the
// customer's default.
func TestChargedCard(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
	chosen := testfactory.PaymentMethod(t, pool, testfactory.PaymentMethodOpts{Customer: m.Customer})
	ofWallet := testfactory.PaymentMethod(t, pool, testfactory.PaymentMethodOpts{Customer: m.Customer})
	buy := func(r wallet.MethodRequest) *postgres.Charge {
		request := into(m)
		request.Paid, request.PaymentMethod = dec("1"), r
		got := mustTopUp(t, pool, request)[0]
		require.NotNil(t, got.InvoiceID)
		if got.Payment == nil {
			require.Equal(t, wallet.TransactionPending, got.Status)
			return nil
		}
		c, err := postgres.GetCharge(t.Context(), pool, got.Payment.ID)
		require.NoError(t, err)
		return &c
	}
	id := chosen.ID.String()

	require.Equal(t, m.PaymentMethod.StripePaymentMethodID, buy(wallet.MethodRequest{}).StripePaymentMethodID)
	require.Equal(t, chosen.StripePaymentMethodID, buy(wallet.MethodRequest{Type: "provider", ID: &id}).StripePaymentMethodID)
	require.Nil(t, buy(wallet.MethodRequest{Type: "manual"}))

	_, err := updateWallet(t, pool, m.Wallet, postgres.WalletChange{Change: func(w *wallet.Wallet) error {
		w.PaymentMethod = wallet.MethodChoice{Type: wallet.MethodProvider, ID: &ofWallet.ID}
		return nil
	}})
	require.NoError(t, err)
	before := buy(wallet.MethodRequest{})
	require.Equal(t, ofWallet.StripePaymentMethodID, before.StripePaymentMethodID)
	require.False(t, before.PaymentMethodGone)
	_, err = postgres.RemovePaymentMethod(t.Context(), pool, m.Customer.ID, ofWallet.ID, now)
	require.NoError(t, err)
	gone := buy(wallet.MethodRequest{})
	require.True(t, gone.PaymentMethodGone, "no other card is charged")
	require.Equal(t, ofWallet.ID, *gone.Payment.PaymentMethodID)

	_, err = updateWallet(t, pool, m.Wallet, postgres.WalletChange{
		Change: func(*wallet.Wallet) error { return nil }, PaymentMethod: &wallet.MethodRequest{Type: "manual"},
	})
	require.NoError(t, err)
	require.Nil(t, buy(wallet.MethodRequest{}))
	require.NotNil(t, buy(wallet.MethodRequest{Type: "provider", ID: &id}))

	_, err = updateWallet(t, pool, m.Wallet, postgres.WalletChange{
		Change: func(*wallet.Wallet) error { return nil }, PaymentMethod: &wallet.MethodRequest{Type: "provider"},
	})
	require.NoError(t, err)
	_, err = postgres.RemovePaymentMethod(t.Context(), pool, m.Customer.ID, m.PaymentMethod.ID, now)
	require.NoError(t, err)
	require.Nil(t, buy(wallet.MethodRequest{}), "the customer has no default")
}
