package torture

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/delivery"
	"github.com/fundrail/fundrail/internal/wallet"
)

func TestDeliveryLog(t *testing.T) {
	t.Parallel()

	wallets, payments := wallet.NewID(), wallet.NewID()
	events := []merchantEvent{
		{wallet.NewID(), 0, wallets, 1, "wallet.created"},
		{wallet.NewID(), 0, wallets, 2, "wallet.updated"},
		{wallet.NewID(), 0, wallets, 3, "wallet.updated"},
		{wallet.NewID(), 0, payments, 1, "payment.succeeded"},
	}
	receipts := func(order ...int) deliveryLog {
		all := deliveryLog{events: events}
		for _, i := range order {
			all.received = append(all.received, receipt{events[i].Merchant, events[i].ID})
		}
		return all
	}

	t.Run("InOrder", func(t *testing.T) {
		t.Parallel()

		all := receipts(0, 3, 1, 0, 2, 1, 3) // objects are interleaved, and repetitions are allowed
		require.Empty(t, append(append(all.lost(), all.outOfOrder()...), all.unexpected()...))
	})

	t.Run("Lost", func(t *testing.T) {
		t.Parallel()

		all := receipts(0, 2, 3)
		require.Len(t, all.lost(), 1)
		require.Empty(t, all.outOfOrder(), "a lost event is not counted twice")
	})

	t.Run("LateIsOutOfOrder", func(t *testing.T) {
		t.Parallel()

		require.Len(t, receipts(0, 2, 1, 3).outOfOrder(), 1)
		require.Len(t, receipts(2, 1, 0, 3).outOfOrder(), 2)
	})

	t.Run("EventOfAnotherMerchantIsUnexpected", func(t *testing.T) {
		t.Parallel()

		all := receipts(0, 1, 2, 3)
		all.received = append(all.received, receipt{1, events[0].ID})
		require.Len(t, all.unexpected(), 1)
	})

	t.Run("Gap", func(t *testing.T) {
		t.Parallel()

		all := deliveryLog{events: []merchantEvent{events[0], events[2]}}
		require.Len(t, all.unexpected(), 1)
	})
}

func TestReceiver(t *testing.T) {
	t.Parallel()

	r, err := startReceiver(t.Context(), 1)
	require.NoError(t, err)
	t.Cleanup(r.close)
	sender := delivery.NewSender(delivery.Config{AllowPrivate: true})
	send := func(n int, secret string) (wallet.ID, int) {
		m := delivery.Message{
			DeliveryID: wallet.NewID(), Endpoint: wallet.Endpoint{URL: r.address(n), Signature: signature(n)},
			Event:   wallet.MerchantEvent{ID: wallet.NewID(), Mode: wallet.ModeTest, Type: wallet.DeliveryWalletUpdated, Wallet: &wallet.Wallet{}},
			Secrets: []string{secret},
		}
		status, _ := sender.Send(t.Context(), m)
		return m.Event.ID, status
	}

	require.Empty(t, r.stopFailures())
	for n := range merchants {
		id, status := send(n, r.secrets[n])
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, receipt{n, id}, r.received[n], "merchant %d, %s", n, signature(n))

		_, status = send(n, wallet.NewWebhookSecret())
		require.Equal(t, http.StatusUnauthorized, status)
		require.Len(t, r.unsigned, n+1)
	}
}

func TestReceiverAcceptsInTheEnd(t *testing.T) {
	t.Parallel()

	r := &receiver{hits: map[string]int64{}, tries: map[receipt]int{}, dice: newDice(3)}
	h := receipt{0, wallet.NewID()}
	for range 1000 {
		for range maxFailures {
			r.treatment(h)
		}
		require.Equal(t, acceptAndAnswer, r.treatment(h))
		delete(r.tries, h)
	}
	require.Len(t, r.hits, len(failureRates))
}
