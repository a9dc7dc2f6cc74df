package torture

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/stripesim"
	"github.com/fundrail/fundrail/internal/wallet"
)

// bookkeeping is one payment of 25.00 that was charged and credited. The tests
// change it.
type bookkeeping struct {
	books
	id       wallet.ID
	merchant merchant
}

func newBookkeeping() *bookkeeping {
	b := &bookkeeping{id: wallet.NewID(), merchant: merchant{walletID: wallet.NewID(), stripeCustomerID: "cus_1"}}
	b.books = books{
		balances: map[wallet.ID]int64{b.merchant.walletID: 2500},
		credits:  map[wallet.ID][]int64{b.id: {2500}},
		intents:  []stripesim.Intent{{ID: "pi_1", Metadata: b.metadata(), Status: stripesim.StatusSucceeded}},
		paid:     []stripesim.Paid{{ID: "pi_1", AmountReceived: 2500, Customer: "cus_1", Metadata: b.metadata()}},
		payments: map[wallet.ID]payment{b.id: {ID: b.id, Amount: 2500, IntentID: "pi_1", Status: wallet.PaymentSucceeded}},
	}
	return b
}

func (b *bookkeeping) metadata() stripesim.Metadata {
	return stripesim.Metadata{{Key: "payment_id", Value: b.id.String()}}
}

func TestBooks(t *testing.T) {
	t.Parallel()

	t.Run("InOrder", func(t *testing.T) {
		t.Parallel()

		b := newBookkeeping()
		require.Empty(t, b.unfinished([]merchant{b.merchant}))
		require.Empty(t, append(append(b.lost(), b.doubled()...), b.chargedTwice()...))
	})

	t.Run("ChargeWithoutCredit", func(t *testing.T) {
		t.Parallel()

		b := newBookkeeping()
		b.credits = nil
		require.Len(t, b.lost(), 1)
	})

	t.Run("ChargeWithoutPayment", func(t *testing.T) {
		t.Parallel()

		b := newBookkeeping()
		b.payments = nil
		require.Len(t, b.lost(), 1)
	})

	t.Run("CreditOfAnotherAmount", func(t *testing.T) {
		t.Parallel()

		b := newBookkeeping()
		b.credits[b.id] = []int64{2499}
		require.Len(t, b.lost(), 1)
	})

	t.Run("CreditTwice", func(t *testing.T) {
		t.Parallel()

		b := newBookkeeping()
		b.credits[b.id] = []int64{2500, 2500}
		require.Len(t, b.doubled(), 1)
	})

	t.Run("CreditWithoutCharge", func(t *testing.T) {
		t.Parallel()

		b := newBookkeeping()
		b.paid = nil
		require.Len(t, b.doubled(), 1)
	})

	t.Run("ChargedTwice", func(t *testing.T) {
		t.Parallel()

		b := newBookkeeping()
		b.paid = append(b.paid, stripesim.Paid{ID: "pi_2", AmountReceived: 2500, Metadata: b.metadata()})
		require.Len(t, b.chargedTwice(), 1)
		require.Len(t, b.lost(), 1, "the second one is not credited")
	})

	t.Run("WalletIncludesRefundedMoney", func(t *testing.T) {
		t.Parallel()

		b := newBookkeeping()
		b.paid[0].AmountRefunded = 500
		require.Len(t, b.wrongBalances([]merchant{b.merchant}), 1)
		b.balances[b.merchant.walletID] = 2000
		require.Empty(t, b.wrongBalances([]merchant{b.merchant}))
	})

	t.Run("IntentLeftOpen", func(t *testing.T) {
		t.Parallel()

		b := newBookkeeping()
		p := b.payments[b.id]
		p.Status = wallet.PaymentFailed
		b.payments[b.id] = p
		b.intents[0].Status = stripesim.StatusRequiresAction
		require.Len(t, b.leftOpen(), 1)
	})

	t.Run("OpenButNotWaiting", func(t *testing.T) {
		t.Parallel()

		b := newBookkeeping()
		p := b.payments[b.id]
		p.Status, p.IntentID = wallet.PaymentProcessing, ""
		b.payments[b.id] = p
		require.Len(t, b.notFinal(), 1, "Stripe has an intent of it")
		b.intents = nil
		require.Empty(t, b.notFinal(), "Stripe has no intent of it, so it waits for an operator")
		require.Len(t, b.waiting(), 1)
	})
}

func TestMayBecome(t *testing.T) {
	t.Parallel()

	for _, tt := range []struct {
		told, now string
		want      bool
	}{
		{"processing", "completed", true},
		{"processing", "declined", true},
		{"requires_action", "completed", true},
		{"requires_action", "canceled", true},
		{"requires_action", "processing", false},
		{"completed", "completed", true},
		{"completed", "declined", false},
		{"completed", "processing", false},
		{"declined", "failed", true},
		{"declined", "completed", false},
		{"canceled", "completed", false},
	} {
		require.Equal(t, tt.want, mayBecome(tt.told, tt.now), "%s, then %s", tt.told, tt.now)
	}
}
