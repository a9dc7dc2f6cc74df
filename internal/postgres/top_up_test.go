package postgres_test

import (
	"encoding/json"
	"errors"
	"math"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testdb"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/topup"
	"github.com/fundrail/fundrail/internal/wallet"
)

func dec(s string) decimal.Decimal { return decimal.RequireFromString(s) }

// topUp prepares and makes a top-up in one transaction, as a request does.
func topUp(t *testing.T, pool *pgxpool.Pool, request topup.Request) ([]wallet.Transaction, error) {
	t.Helper()

	return topUpWithKey(t, pool, request, nil)
}

func topUpWithKey(t *testing.T, pool *pgxpool.Pool, request topup.Request, key *postgres.IdempotencyRecord) ([]wallet.Transaction, error) {
	t.Helper()

	var prepared postgres.PreparedTopUp
	err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		var err error
		if prepared, err = postgres.PrepareTopUp(t.Context(), tx, request, &wallet.ValidationError{}); err != nil {
			return err
		}
		_, accepted, err := postgres.MakeTopUp(t.Context(), tx, prepared.WithKey(key))
		if err == nil && !accepted {
			err = errors.New("idempotency key taken")
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	list, err := postgres.GetTransactions(t.Context(), pool, prepared.TransactionIDs())
	require.NoError(t, err)
	require.Len(t, list, len(prepared.TransactionIDs()))
	return list, nil
}

func mustTopUp(t *testing.T, pool *pgxpool.Pool, request topup.Request) []wallet.Transaction {
	t.Helper()

	list, err := topUp(t, pool, request)
	require.NoError(t, err)
	return list
}

// into asks for nothing yet, of the merchant's primary wallet.
func into(m testfactory.Merchant) topup.Request {
	return topup.Request{OrganizationID: m.Organization.ID, Mode: m.Mode, WalletID: m.Wallet.ID, Now: now}
}

func requireInvalid(t *testing.T, err error, want []wallet.Finding) {
	t.Helper()

	v, ok := errors.AsType[*wallet.ValidationError](err)
	require.True(t, ok, "%v", err)
	require.ElementsMatch(t, want, v.Findings)
}

func TestTopUp(t *testing.T) {
	t.Parallel()

	type testBundle struct {
		pool *pgxpool.Pool
		m    testfactory.Merchant
	}
	setup := func(t *testing.T, opts testfactory.MerchantOpts) *testBundle {
		t.Helper()
		pool := testdb.New(t)
		t.Cleanup(func() { requireBooksBalance(t, pool) })
		return &testBundle{pool: pool, m: testfactory.NewMerchant(t, pool, opts)}
	}
	walletNow := func(t *testing.T, b *testBundle) wallet.Wallet {
		t.Helper()
		w, err := postgres.GetWallet(t.Context(), b.pool, b.m.Wallet.ID)
		require.NoError(t, err)
		return w
	}

	t.Run("PurchaseWaitsForItsPayment", func(t *testing.T) {
		t.Parallel()

		b := setup(t, testfactory.MerchantOpts{})
		request := into(b.m)
		request.Paid, request.Name, request.Priority = dec("10.5"), "Spring", 7
		request.PurchaseOrderNumber = "PO-1"
		request.Metadata = []wallet.MetadataPair{
			{Key: "b", Value: json.RawMessage(`"x"`)}, {Key: "a", Value: json.RawMessage(`1.50`)},
		}

		got := mustTopUp(t, b.pool, request)[0]

		require.Equal(t, wallet.TransactionPurchased, got.Kind)
		require.Equal(t, wallet.TransactionInbound, got.Type)
		require.Equal(t, wallet.TransactionPending, got.Status)
		require.Equal(t, wallet.SourceManual, got.Source)
		require.Equal(t, int64(10_50), got.Amount)
		require.Equal(t, "10.5", wallet.FormatDecimal(got.CreditAmount))
		require.Equal(t, "Spring", got.Name)
		require.Equal(t, 7, got.Priority)
		require.Equal(t, "PO-1", got.PurchaseOrderNumber)
		require.Equal(t, request.Metadata, got.Metadata)
		require.Equal(t, wallet.MethodChoice{Type: wallet.MethodProvider}, got.PaymentMethod)
		require.Nil(t, got.RemainingAmount)
		require.Nil(t, got.SettledAt)
		require.Equal(t, now, got.CreatedAt.UTC())
		require.Zero(t, walletNow(t, b).Balance)

		payment, err := postgres.GetPayment(t.Context(), b.pool, got.Payment.ID)
		require.NoError(t, err)
		require.Equal(t, wallet.PaymentCreated, payment.Status)
		require.True(t, payment.OffSession)
		require.Equal(t, b.m.PaymentMethod.ID, *payment.PaymentMethodID)

		invoice, err := postgres.GetInvoice(t.Context(), b.pool, b.m.Organization.ID, b.m.Mode, *got.InvoiceID)
		require.NoError(t, err)
		require.Equal(t, wallet.InvoiceFinalized, invoice.Status)
		require.Equal(t, wallet.InvoicePaymentPending, invoice.PaymentStatus)
		require.Equal(t, int64(10_50), invoice.Amount)
		require.Equal(t, "Spring", invoice.Description)
		require.Equal(t, "PO-1", invoice.PurchaseOrderNumber)
		require.Equal(t, "2026-03-14", invoice.IssuingDate)
		require.Regexp(t, `^LIG-[0-9A-F]{4}-202603-001$`, invoice.Number)
	})

	t.Run("SuccessSettlesPurchaseAndInvoice", func(t *testing.T) {
		t.Parallel()

		b := setup(t, testfactory.MerchantOpts{})
		request := into(b.m)
		request.Paid = dec("25")
		got := mustTopUp(t, b.pool, request)[0]

		testfactory.Move(t, b.pool, got.Payment.ID, testfactory.Succeeded(25_00, wallet.USD), now)

		got, err := postgres.GetTransaction(t.Context(), b.pool, b.m.Organization.ID, b.m.Mode, got.ID)
		require.NoError(t, err)
		require.Equal(t, wallet.TransactionSettled, got.Status)
		require.Equal(t, int64(25_00), *got.RemainingAmount)
		require.Equal(t, "25.0", wallet.FormatDecimal(*got.RemainingCredits()))
		require.Equal(t, now, got.SettledAt.UTC())
		w := walletNow(t, b)
		require.Equal(t, int64(25_00), w.Balance)
		require.Equal(t, now, w.LastBalanceSyncAt.UTC())
		require.Nil(t, w.LastConsumedCreditAt)
		invoice, err := postgres.GetInvoice(t.Context(), b.pool, b.m.Organization.ID, b.m.Mode, *got.InvoiceID)
		require.NoError(t, err)
		require.Equal(t, wallet.InvoicePaymentSucceeded, invoice.PaymentStatus)
		require.Equal(t, int64(25_00), invoice.PaidAmount)
	})

	t.Run("FailedPurchaseMaySettleLater", func(t *testing.T) {
		t.Parallel()

		b := setup(t, testfactory.MerchantOpts{})
		requires := true
		request := into(b.m)
		request.Paid, request.InvoiceRequiresSuccessfulPayment = dec("25"), &requires
		got := mustTopUp(t, b.pool, request)[0]
		declined := testfactory.Declined()
		testfactory.Move(t, b.pool, got.Payment.ID, declined, now)
		failed, err := postgres.GetTransaction(t.Context(), b.pool, b.m.Organization.ID, b.m.Mode, got.ID)
		require.NoError(t, err)
		require.Equal(t, wallet.TransactionFailed, failed.Status)
		require.Equal(t, "card_declined", failed.Payment.Failure.Code)
		invoice, err := postgres.GetInvoice(t.Context(), b.pool, b.m.Organization.ID, b.m.Mode, *got.InvoiceID)
		require.NoError(t, err)
		require.Equal(t, wallet.InvoiceOpen, invoice.Status)
		require.Equal(t, wallet.InvoicePaymentFailed, invoice.PaymentStatus)
		require.Empty(t, invoice.Number)

		later := now.AddDate(0, 1, 0)
		o := testfactory.Succeeded(25_00, wallet.USD)
		o.IntentID = declined.IntentID
		testfactory.Move(t, b.pool, got.Payment.ID, o, later)

		settled, err := postgres.GetTransaction(t.Context(), b.pool, b.m.Organization.ID, b.m.Mode, got.ID)
		require.NoError(t, err)
		require.Equal(t, wallet.TransactionSettled, settled.Status)
		require.Equal(t, now, settled.FailedAt.UTC(), "kept")
		require.Equal(t, later, settled.SettledAt.UTC())
		invoice, err = postgres.GetInvoice(t.Context(), b.pool, b.m.Organization.ID, b.m.Mode, *got.InvoiceID)
		require.NoError(t, err)
		require.Equal(t, wallet.InvoiceFinalized, invoice.Status)
		require.Equal(t, "2026-04-14", invoice.IssuingDate, "the day of the payment")
		require.Contains(t, invoice.Number, "-202604-001")
	})

	t.Run("OneRequestMakesThreeRows", func(t *testing.T) {
		t.Parallel()

		b := setup(t, testfactory.MerchantOpts{})
		first := into(b.m)
		first.Granted = dec("5")
		mustTopUp(t, b.pool, first)
		request := into(b.m)
		request.Paid, request.Granted, request.Voided = dec("10"), dec("2"), dec("3")
		request.PurchaseOrderNumber, request.Name = "PO-2", "Mix"

		got := mustTopUp(t, b.pool, request)

		kinds := []wallet.TransactionKind{got[0].Kind, got[1].Kind, got[2].Kind}
		require.Equal(t, []wallet.TransactionKind{wallet.TransactionPurchased, wallet.TransactionGranted, wallet.TransactionVoided}, kinds)
		require.Equal(t, wallet.TransactionSettled, got[1].Status)
		require.Equal(t, int64(2_00), *got[1].RemainingAmount, "the older grant is eaten first")
		require.Equal(t, "PO-2", got[1].PurchaseOrderNumber)
		require.Empty(t, got[2].PurchaseOrderNumber)
		require.Equal(t, "Mix", got[2].Name)
		require.Nil(t, got[2].RemainingAmount)
		require.Nil(t, got[1].Payment)
		w := walletNow(t, b)
		require.Equal(t, int64(4_00), w.Balance)
		require.Equal(t, "4", w.CreditsBalance.String())
		require.Equal(t, "3", w.ConsumedCredits.String())
		require.Equal(t, now, w.LastConsumedCreditAt.UTC())

		list, total, err := postgres.ListTransactions(t.Context(), b.pool, b.m.Wallet.ID, postgres.TransactionFilter{}, wallet.Page{})
		require.NoError(t, err)
		require.Equal(t, 4, total)
		require.Len(t, list, 4)
	})

	t.Run("VoidKeepsItsOwnCredits", func(t *testing.T) {
		t.Parallel()

		b := setup(t, testfactory.MerchantOpts{Currency: "EUR"})
		request := into(b.m)
		request.Granted = dec("100")
		mustTopUp(t, b.pool, request)
		request = into(b.m)
		request.Voided = dec("14.28444")

		got := mustTopUp(t, b.pool, request)[0]

		require.Equal(t, "14.28444", got.CreditAmount.String())
		require.Equal(t, int64(14_28), got.Amount)
		w := walletNow(t, b)
		require.Equal(t, "85.71556", w.CreditsBalance.String())
		require.Equal(t, int64(85_72), w.Balance)
	})

	t.Run("VoidOfNoMoneyMovesCredits", func(t *testing.T) {
		t.Parallel()

		b := setup(t, testfactory.MerchantOpts{})
		request := into(b.m)
		request.Granted = dec("1")
		grant := mustTopUp(t, b.pool, request)[0]
		request = into(b.m)
		request.Voided = dec("0.00499")

		got := mustTopUp(t, b.pool, request)[0]

		require.Zero(t, got.Amount)
		require.Equal(t, "0.99501", walletNow(t, b).CreditsBalance.String())
		require.Equal(t, int64(1_00), walletNow(t, b).Balance)

		// What is left of the money stands for more credits than there are.
		request = into(b.m)
		request.VoidedTransactionID = &grant.ID
		all := mustTopUp(t, b.pool, request)[0]
		require.Equal(t, int64(1_00), all.Amount)
		require.Equal(t, "0.99501", all.CreditAmount.String())
		require.True(t, walletNow(t, b).CreditsBalance.IsZero())
	})

	t.Run("ConsumesInOrder", func(t *testing.T) {
		t.Parallel()

		b := setup(t, testfactory.MerchantOpts{})
		add := func(paid, granted string, priority int, after int) wallet.Transaction {
			request := into(b.m)
			request.Paid, request.Granted, request.Priority = dec(paid), dec(granted), priority
			request.Now = now.AddDate(0, 0, after)
			got := mustTopUp(t, b.pool, request)[0]
			if got.Payment != nil {
				testfactory.Move(t, b.pool, got.Payment.ID, testfactory.Succeeded(got.Amount, got.Currency), request.Now)
			}
			return got
		}
		purchasedOld := add("1", "0", 50, 0)
		grantedNew := add("0", "1", 50, 2)
		grantedOld := add("0", "1", 50, 1)
		urgent := add("1", "0", 1, 3)
		pending := into(b.m)
		pending.Paid, pending.Priority = dec("1"), 1
		mustTopUp(t, b.pool, pending)
		request := into(b.m)
		request.Voided = dec("3.5")

		void := mustTopUp(t, b.pool, request)[0]

		left := func(id wallet.ID) int64 {
			got, err := postgres.GetTransaction(t.Context(), b.pool, b.m.Organization.ID, b.m.Mode, id)
			require.NoError(t, err)
			return *got.RemainingAmount
		}
		require.Equal(t, []int64{0, 0, 0, 50}, []int64{left(urgent.ID), left(grantedOld.ID), left(grantedNew.ID), left(purchasedOld.ID)})
		fundings, total, err := postgres.ListFundings(t.Context(), b.pool, void.ID, wallet.Page{})
		require.NoError(t, err)
		require.Equal(t, 4, total)
		var sum int64
		for _, f := range fundings {
			require.Equal(t, wallet.TransactionInbound, f.Transaction.Type)
			sum += f.Amount
		}
		require.Equal(t, int64(3_50), sum)
		consumptions, total, err := postgres.ListConsumptions(t.Context(), b.pool, purchasedOld.ID, wallet.Page{})
		require.NoError(t, err)
		require.Equal(t, 1, total)
		require.Equal(t, void.ID, consumptions[0].Transaction.ID)
		require.Equal(t, int64(50), consumptions[0].Amount)
		require.Equal(t, "0.5", wallet.FormatDecimal(consumptions[0].Credits()))
	})

	t.Run("TargetedVoidIgnoresTheOrder", func(t *testing.T) {
		t.Parallel()

		b := setup(t, testfactory.MerchantOpts{RateAmount: dec("1.375"), Currency: "EUR"})
		request := into(b.m)
		request.Granted = dec("10.34567")
		first, second := mustTopUp(t, b.pool, request)[0], mustTopUp(t, b.pool, request)[0]
		require.Equal(t, int64(14_23), second.Amount)
		require.Equal(t, "10.34909", second.CreditAmount.String())
		request = into(b.m)
		request.VoidedTransactionID, request.Voided = &second.ID, dec("4")
		mustTopUp(t, b.pool, request)
		request.Voided = decimal.Zero

		got := mustTopUp(t, b.pool, request)[0]

		require.Equal(t, int64(14_23-5_50), got.Amount, "all that was left")
		require.Equal(t, "6.34909", got.CreditAmount.String())
		require.Equal(t, int64(14_23), walletNow(t, b).Balance)
		first, err := postgres.GetTransaction(t.Context(), b.pool, b.m.Organization.ID, b.m.Mode, first.ID)
		require.NoError(t, err)
		require.Equal(t, int64(14_23), *first.RemainingAmount)

		_, err = topUp(t, b.pool, request)
		requireInvalid(t, err, []wallet.Finding{{Field: wallet.FieldVoidedTransaction, Problem: wallet.ProblemNothingRemaining}})
		request = into(b.m)
		request.VoidedTransactionID, request.Voided = &first.ID, dec("10.4")
		_, err = topUp(t, b.pool, request)
		requireInvalid(t, err, []wallet.Finding{{Field: wallet.FieldVoidedCredits, Problem: wallet.ProblemInsufficientCredits}})
		request.Granted = dec("1") // which does not count for the check, and is not what is named
		request.Voided = dec("10.34909")
		got = mustTopUp(t, b.pool, request)[1]
		require.Equal(t, int64(14_23), got.Amount)
	})

	t.Run("IdempotencyKeyTakesOnce", func(t *testing.T) {
		t.Parallel()

		for name, change := range map[string]func(*topup.Request){
			"Grant":    func(r *topup.Request) { r.Granted = dec("1") },
			"Mixed":    func(r *topup.Request) { r.Paid, r.Granted = dec("1"), dec("1") },
			"Manual":   func(r *topup.Request) { r.Paid, r.PaymentMethod.Type = dec("1"), "manual" },
			"Purchase": func(r *topup.Request) { r.Paid = dec("1") },
		} {
			b := setup(t, testfactory.MerchantOpts{})
			request := into(b.m)
			change(&request)
			key := &postgres.IdempotencyRecord{Operation: "POST /api/v1/wallet_transactions", Key: name, WaitUntil: now}
			made, err := topUpWithKey(t, b.pool, request, key)
			require.NoError(t, err)

			_, err = topUpWithKey(t, b.pool, request, key)

			require.EqualError(t, err, "idempotency key taken", name)
			_, total, err := postgres.ListTransactions(t.Context(), b.pool, b.m.Wallet.ID, postgres.TransactionFilter{}, wallet.Page{})
			require.NoError(t, err)
			require.Equal(t, len(made), total, name)
			record, paymentID, found, err := postgres.LookUpIdempotencyKey(t.Context(), b.pool, b.m.Organization.ID, b.m.Mode,
				key.Operation, name, now)
			require.NoError(t, err)
			require.True(t, found)
			require.Len(t, record.ResultIDs, len(made))
			require.Equal(t, made[0].ID, record.ResultIDs[0], name)
			require.Equal(t, made[0].Payment != nil, paymentID != wallet.ID{}, name)
		}
	})
}

// TestTopUpRefusals holds what speaks against a top-up: first everything that can
// be seen from outside, at once; then, inside the transaction, the first thing.
func TestTopUpRefusals(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	t.Cleanup(func() { requireBooksBalance(t, pool) })
	m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{RateAmount: dec("0.01"), Currency: "EUR"})
	other := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
	minAmount, maxAmount := int64(100), int64(200)
	_, err := pool.Exec(t.Context(), `update wallets set paid_top_up_min_amount = $2, paid_top_up_max_amount = $3 where id = $1`,
		m.Wallet.ID, minAmount, maxAmount)
	require.NoError(t, err)
	granting := into(m)
	granting.Granted = dec("10")
	grant := mustTopUp(t, pool, granting)[0]
	voiding := into(m)
	voiding.Voided = dec("1.4") // one cent
	void := mustTopUp(t, pool, voiding)[0]
	buying := into(m)
	buying.Paid = dec("150")
	pending := mustTopUp(t, pool, buying)[0]
	ended := testfactory.Wallet(t, pool, testfactory.WalletOpts{Customer: m.Customer})
	expired := testfactory.Wallet(t, pool, testfactory.WalletOpts{Customer: m.Customer})
	_, err = pool.Exec(t.Context(), `update wallets set status = 'terminated', terminated_at = $2 where id = $1`, ended.ID, now)
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), `update wallets set expiration_at = $2 where id = $1`, expired.ID, now)
	require.NoError(t, err)
	dull := testfactory.Wallet(t, pool, testfactory.WalletOpts{Customer: m.Customer})
	_, err = pool.Exec(t.Context(), `update wallets set traceable = false where id = $1`, dull.ID)
	require.NoError(t, err)
	granting.Granted = dec("1")
	small := mustTopUp(t, pool, granting)[0]
	drained := testfactory.Wallet(t, pool, testfactory.WalletOpts{Customer: m.Customer, RateAmount: dec("0.01")})
	draining := into(m)
	draining.WalletID, draining.Granted = drained.ID, dec("2")
	mustTopUp(t, pool, draining)
	draining.Granted, draining.Voided = decimal.Zero, dec("0.5")
	mustTopUp(t, pool, draining)
	mustTopUp(t, pool, draining)
	id := func(id wallet.ID) *wallet.ID { return &id }
	text := func(s string) *string { return &s }

	for name, tc := range map[string]struct {
		change func(*topup.Request)
		want   []wallet.Finding
	}{
		"UnknownWallet": {
			func(r *topup.Request) { r.WalletID, r.Granted = wallet.NewID(), dec("1") },
			[]wallet.Finding{{Field: wallet.FieldWallet, Problem: wallet.ProblemNotFound}},
		},
		"MalformedWallet": {
			func(r *topup.Request) { r.WalletID, r.Voided = wallet.ID{}, dec("100000") },
			[]wallet.Finding{{Field: wallet.FieldWallet, Problem: wallet.ProblemNotFound}},
		},
		"WalletOfAnother": {
			func(r *topup.Request) { r.WalletID, r.Granted = other.Wallet.ID, dec("1") },
			[]wallet.Finding{{Field: wallet.FieldWallet, Problem: wallet.ProblemNotFound}},
		},
		"WalletOfOtherMode": {
			func(r *topup.Request) { r.Mode, r.Granted = wallet.ModeLive, dec("1") },
			[]wallet.Finding{{Field: wallet.FieldWallet, Problem: wallet.ProblemNotFound}},
		},
		"TerminatedWallet": {
			func(r *topup.Request) { r.WalletID, r.Granted = ended.ID, dec("1") },
			[]wallet.Finding{{Field: wallet.FieldWallet, Problem: wallet.ProblemTerminated}},
		},
		"ExpiredWallet": {
			func(r *topup.Request) { r.WalletID, r.Granted = expired.ID, dec("1") },
			[]wallet.Finding{{Field: wallet.FieldWallet, Problem: wallet.ProblemTerminated}},
		},
		"RoundsToZero": {
			func(r *topup.Request) { r.Paid, r.Granted = dec("0.4"), dec("0.4") },
			[]wallet.Finding{
				{Field: wallet.FieldPaidCredits, Problem: wallet.ProblemRoundsToZero},
				{Field: wallet.FieldGrantedCredits, Problem: wallet.ProblemRoundsToZero},
			},
		},
		"Overflow": {
			func(r *topup.Request) {
				r.Paid, r.Granted = dec("9999999999999999999999999"), dec("9999999999999999999999999")
			},
			[]wallet.Finding{
				{Field: wallet.FieldPaidCredits, Problem: wallet.ProblemAmountInvalid},
				{Field: wallet.FieldGrantedCredits, Problem: wallet.ProblemAmountInvalid},
			},
		},
		"BalanceOverflow": {
			func(r *topup.Request) { r.Granted = decimal.NewFromInt(math.MaxInt64 - 9) },
			[]wallet.Finding{{Field: wallet.FieldGrantedCredits, Problem: wallet.ProblemAmountInvalid}},
		},
		"InsufficientCredits": {
			func(r *topup.Request) { r.Voided = dec("9.60001") },
			[]wallet.Finding{{Field: wallet.FieldVoidedCredits, Problem: wallet.ProblemInsufficientCredits}},
		},
		"OwnGrantDoesNotCount": {
			func(r *topup.Request) { r.Voided, r.Granted = dec("10"), dec("100") },
			[]wallet.Finding{{Field: wallet.FieldVoidedCredits, Problem: wallet.ProblemInsufficientCredits}},
		},
		"TargetUnknown": {
			func(r *topup.Request) { r.VoidedTransactionID = id(wallet.NewID()) },
			[]wallet.Finding{{Field: wallet.FieldVoidedTransaction, Problem: wallet.ProblemNotFound}},
		},
		"TargetOutbound": {
			func(r *topup.Request) { r.VoidedTransactionID = id(void.ID) },
			[]wallet.Finding{{Field: wallet.FieldVoidedTransaction, Problem: wallet.ProblemNotFound}},
		},
		"TargetOfAnotherWallet": {
			func(r *topup.Request) {
				r.VoidedTransactionID = id(grant.ID)
				r.OrganizationID, r.WalletID = other.Organization.ID, other.Wallet.ID
			},
			[]wallet.Finding{{Field: wallet.FieldVoidedTransaction, Problem: wallet.ProblemNotFound}},
		},
		"TargetPending": {
			func(r *topup.Request) { r.VoidedTransactionID = id(pending.ID) },
			[]wallet.Finding{{Field: wallet.FieldVoidedTransaction, Problem: wallet.ProblemNothingRemaining}},
		},
		"TargetInUntraceableWallet": {
			func(r *topup.Request) { r.WalletID, r.VoidedTransactionID = dull.ID, id(grant.ID) },
			[]wallet.Finding{{Field: wallet.FieldVoidedTransaction, Problem: wallet.ProblemNotTraceable}},
		},
		"MethodOfAnotherCustomer": {
			func(r *topup.Request) {
				r.Paid = dec("150")
				r.PaymentMethod = wallet.MethodRequest{Type: "provider", ID: text(other.PaymentMethod.ID.String())}
			},
			[]wallet.Finding{{Field: wallet.FieldPaymentMethod, Problem: wallet.ProblemInvalid}},
		},
		"EverythingAtOnce": {
			func(r *topup.Request) {
				r.Paid, r.Voided, r.PaymentMethod.Type = dec("0.4"), dec("100"), "cash"
				r.VoidedTransactionID = id(pending.ID)
			},
			[]wallet.Finding{
				{Field: wallet.FieldPaidCredits, Problem: wallet.ProblemRoundsToZero},
				{Field: wallet.FieldVoidedCredits, Problem: wallet.ProblemInsufficientCredits},
				{Field: wallet.FieldPaymentMethod, Problem: wallet.ProblemInvalid},
				{Field: wallet.FieldVoidedTransaction, Problem: wallet.ProblemNothingRemaining},
			},
		},
		"BelowMinimum": {
			func(r *topup.Request) { r.Paid = dec("99.4") },
			[]wallet.Finding{{Field: wallet.FieldPaidCredits, Problem: wallet.ProblemBelowMinimum}},
		},
		"AboveMaximum": {
			func(r *topup.Request) { r.Paid = dec("200.5") },
			[]wallet.Finding{{Field: wallet.FieldPaidCredits, Problem: wallet.ProblemAboveMaximum}},
		},
		"MoreThanTheTargetHas": {
			func(r *topup.Request) { r.VoidedTransactionID, r.Voided = id(small.ID), dec("2") },
			[]wallet.Finding{{Field: wallet.FieldAmount, Problem: wallet.ProblemExceedsRemaining}},
		},
		"MoreMoneyThanThereIs": {
			// Half a credit is a cent as well, so two of them leave a credit and no cent.
			func(r *topup.Request) { r.WalletID, r.Voided = drained.ID, dec("1") },
			[]wallet.Finding{{Field: wallet.FieldAmount, Problem: wallet.ProblemExceedsAvailable}},
		},
		"StageOneComesFirst": {
			func(r *topup.Request) { r.Paid, r.Granted = dec("99"), dec("0.4") },
			[]wallet.Finding{{Field: wallet.FieldGrantedCredits, Problem: wallet.ProblemRoundsToZero}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			before, err := postgres.GetWallet(t.Context(), pool, m.Wallet.ID)
			require.NoError(t, err)
			request := into(m)
			tc.change(&request)

			_, err = topUp(t, pool, request)

			requireInvalid(t, err, tc.want)
			after, err := postgres.GetWallet(t.Context(), pool, m.Wallet.ID)
			require.NoError(t, err)
			require.Equal(t, before, after)
		})
	}
}
