package testfactory

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/topup"
	"github.com/fundrail/fundrail/internal/wallet"
)

// PaymentOpts are the columns of a payment that a test may choose.
type PaymentOpts struct {
	ID          wallet.ID
	Amount      int64 // minor units
	CreatedAt   time.Time
	Failure     wallet.Failure
	Idempotency *postgres.IdempotencyRecord
	IntentID    string
	Merchant    Merchant
	OffSession  bool
	RedirectURL string
	Status      wallet.PaymentStatus
	UpdatedAt   time.Time // the time of the move to Status
}

// Payment stores a payment into the merchant's primary wallet and moves it to a
// state, created unless one is given. Without a merchant there is a new one.
func Payment(tb testing.TB, db DB, opts PaymentOpts) wallet.Payment {
	tb.Helper()

	if opts.Merchant.Wallet.ID == (wallet.ID{}) {
		opts.Merchant = NewMerchant(tb, db, MerchantOpts{})
	}
	p := NewPayment(opts)
	Accept(tb, db, p)
	if status := or(opts.Status, wallet.PaymentCreated); status != wallet.PaymentCreated {
		return Move(tb, db, p.ID, outcome(tb, status, p, opts), or(opts.UpdatedAt, p.CreatedAt))
	}
	stored, err := postgres.GetPayment(tb.Context(), db, p.ID)
	require.NoError(tb, err)
	return stored
}

// NewPayment returns a payment into the merchant's primary wallet without storing it. It
// uses only the options that are known before a charge.
func NewPayment(opts PaymentOpts) postgres.NewPayment {
	m := opts.Merchant
	amount := or(opts.Amount, 25_00)
	return postgres.NewPayment{
		ID:                  orNewID(opts.ID),
		WalletTransactionID: wallet.NewID(),
		OrganizationID:      m.Organization.ID,
		Mode:                m.Mode,
		WalletID:            m.Wallet.ID,
		PaymentMethodID:     m.PaymentMethod.ID,
		Amount:              amount,
		Currency:            m.Wallet.Currency,
		CreditAmount:        wallet.CreditsFor(amount, m.Wallet.RateAmount, m.Wallet.Currency),
		OffSession:          opts.OffSession,
		Idempotency:         opts.Idempotency,
		CreatedAt:           or(opts.CreatedAt, Now),
	}
}

// Accept stores a payment without a job. The payment must be new.
func Accept(tb testing.TB, db DB, p postgres.NewPayment) {
	tb.Helper()

	require.NoError(tb, pgx.BeginFunc(tb.Context(), db, func(tx pgx.Tx) error {
		accepted, err := postgres.AcceptPaymentsTx(tb.Context(), tx, []postgres.NewPayment{p})
		if err == nil {
			require.Equal(tb, []bool{true}, accepted)
		}
		return err
	}))
}

// Move applies an outcome to a payment as a job would. The outcome must move the payment.
// Move returns the payment as it is afterwards.
func Move(tb testing.TB, db DB, id wallet.ID, o wallet.Outcome, now time.Time) wallet.Payment {
	tb.Helper()

	var applied []postgres.Applied
	require.NoError(tb, pgx.BeginFunc(tb.Context(), db, func(tx pgx.Tx) error {
		var err error
		applied, err = postgres.ApplyOutcomesTx(tb.Context(), tx, []wallet.Settlement{{
			PaymentID:      id,
			Outcome:        o,
			Cause:          wallet.Cause{Kind: wallet.CauseJob, ID: "1"},
			ActionDeadline: now.Add(24 * time.Hour),
			Now:            now,
		}})
		return err
	}))
	require.True(tb, applied[0].Moved, "payment %s stands at %s", id, applied[0].Payment.Status)
	return applied[0].Payment
}

// Succeeded is the outcome of a charge of the whole amount.
func Succeeded(amount int64, currency wallet.Currency) wallet.Outcome {
	return wallet.Outcome{
		Kind: wallet.OutcomeSucceeded, IntentID: Token("pi_"), ChargeID: Token("ch_"),
		AmountReceived: amount, Currency: currency,
	}
}

// RequiresAction is the outcome of a charge that requires a challenge.
func RequiresAction() wallet.Outcome {
	return wallet.Outcome{
		Kind: wallet.OutcomeRequiresAction, IntentID: Token("pi_"),
		RedirectURL: "https://hooks.stripe.com/3d_secure_2/authenticate?merchant=a&source=b",
	}
}

// Declined is the outcome of a charge that the bank refused because of insufficient funds.
func Declined() wallet.Outcome {
	return wallet.Outcome{
		Kind: wallet.OutcomeDeclined, IntentID: Token("pi_"),
		Failure: wallet.Failure{
			Code: "card_declined", DeclineCode: "insufficient_funds", Message: "Your card has insufficient funds.",
		},
	}
}

// Canceled is the outcome of an intent that was closed without a charge.
func Canceled() wallet.Outcome {
	return wallet.Outcome{
		Kind: wallet.OutcomeCanceled, IntentID: Token("pi_"),
		Failure: wallet.Failure{Code: wallet.FailureCanceled, Message: "The payment was canceled."},
	}
}

// Processing is the outcome of a charge that Stripe has accepted but not decided.
func Processing() wallet.Outcome {
	return wallet.Outcome{Kind: wallet.OutcomeProcessing, IntentID: Token("pi_")}
}

func outcome(tb testing.TB, status wallet.PaymentStatus, p postgres.NewPayment, opts PaymentOpts) wallet.Outcome {
	tb.Helper()

	var o wallet.Outcome
	switch status {
	case wallet.PaymentSucceeded:
		o = Succeeded(p.Amount, p.Currency)
	case wallet.PaymentRequiresAction:
		o = RequiresAction()
	case wallet.PaymentFailed:
		o = Declined()
	case wallet.PaymentCanceled:
		o = Canceled()
	case wallet.PaymentProcessing:
		o = Processing()
	case wallet.PaymentCreated: // the first state
		require.Fail(tb, "no outcome leads there", "status %s", status)
	}
	o.Failure = or(opts.Failure, o.Failure)
	o.IntentID = or(opts.IntentID, o.IntentID)
	o.RedirectURL = or(opts.RedirectURL, o.RedirectURL)
	return o
}

// RequestRefund stores a requested refund without a job. The refund must be allowed.
func RequestRefund(tb testing.TB, db DB, n postgres.NewRefund) wallet.Refund {
	tb.Helper()

	n.ID = orNewID(n.ID)
	n.Now = or(n.Now, Now)
	var r wallet.Refund
	require.NoError(tb, pgx.BeginFunc(tb.Context(), db, func(tx pgx.Tx) error {
		var err error
		r, err = postgres.RequestRefund(tb.Context(), tx, n)
		return err
	}))
	return r
}

// Spend debits the merchant's wallet by voiding credits.
func Spend(tb testing.TB, db DB, m Merchant, amount int64) {
	tb.Helper()

	require.NoError(tb, pgx.BeginFunc(tb.Context(), db, func(tx pgx.Tx) error {
		prepared, err := postgres.PrepareTopUp(tb.Context(), tx, topup.Request{
			OrganizationID: m.Organization.ID, Mode: m.Mode, WalletID: m.Wallet.ID, Now: Now,
			Voided: wallet.CreditsFor(amount, m.Wallet.RateAmount, m.Wallet.Currency),
		}, &wallet.ValidationError{})
		if err != nil {
			return err
		}
		_, _, err = postgres.MakeTopUp(tb.Context(), tx, prepared)
		return err
	}))
}
