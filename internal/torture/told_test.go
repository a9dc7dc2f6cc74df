package torture

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/delivery"
	"github.com/fundrail/fundrail/internal/wallet"
)

func TestTold(t *testing.T) {
	t.Parallel()

	wallets, payments := wallet.NewID(), wallet.NewID()
	events := []toldEvent{
		{wallet.NewID(), 0, wallets, 1, "wallet.created"},
		{wallet.NewID(), 0, wallets, 2, "wallet.updated"},
		{wallet.NewID(), 0, wallets, 3, "wallet.updated"},
		{wallet.NewID(), 0, payments, 1, "payment.succeeded"},
	}
	heard := func(order ...int) told {
		all := told{events: events}
		for _, i := range order {
			all.heard = append(all.heard, hearing{events[i].Merchant, events[i].ID})
		}
		return all
	}

	t.Run("InOrder", func(t *testing.T) {
		t.Parallel()

		all := heard(0, 3, 1, 0, 2, 1, 3) // objects mix, and what was understood may come again
		require.Empty(t, append(append(all.lost(), all.outOfOrder()...), all.madeUp()...))
	})

	t.Run("Lost", func(t *testing.T) {
		t.Parallel()

		all := heard(0, 2, 3)
		require.Len(t, all.lost(), 1)
		require.Empty(t, all.outOfOrder(), "once is enough")
	})

	t.Run("LateIsOutOfOrder", func(t *testing.T) {
		t.Parallel()

		require.Len(t, heard(0, 2, 1, 3).outOfOrder(), 1)
		require.Len(t, heard(2, 1, 0, 3).outOfOrder(), 2)
	})

	t.Run("AnothersIsMadeUp", func(t *testing.T) {
		t.Parallel()

		all := heard(0, 1, 2, 3)
		all.heard = append(all.heard, hearing{1, events[0].ID})
		require.Len(t, all.madeUp(), 1)
	})

	t.Run("Gap", func(t *testing.T) {
		t.Parallel()

		all := told{events: []toldEvent{events[0], events[2]}}
		require.Len(t, all.madeUp(), 1)
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
			Event:   wallet.MerchantEvent{ID: wallet.NewID(), Mode: wallet.ModeTest, Type: wallet.EventWalletUpdated, Wallet: &wallet.Wallet{}},
			Secrets: []string{secret},
		}
		status, _ := sender.Send(t.Context(), m)
		return m.Event.ID, status
	}

	require.Empty(t, r.calmDown())
	for n := range merchants {
		id, status := send(n, r.secrets[n])
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, hearing{n, id}, r.heard[n], "merchant %d, %s", n, signature(n))

		_, status = send(n, wallet.NewWebhookSecret())
		require.Equal(t, http.StatusUnauthorized, status)
		require.Len(t, r.unsigned, n+1)
	}
}

func TestReceiverAnswersInTheEnd(t *testing.T) {
	t.Parallel()

	r := &receiver{calm: false, hits: map[string]int64{}, tries: map[hearing]int{}, dice: newDice(3)}
	h := hearing{0, wallet.NewID()}
	for range 1000 {
		for range maxFailures {
			r.fate(h)
		}
		require.Equal(t, hearAndAnswer, r.fate(h))
		delete(r.tries, h)
	}
	require.Len(t, r.hits, len(misfortunes))
}
