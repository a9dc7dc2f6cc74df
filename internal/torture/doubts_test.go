package torture

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/wallet"
)

func TestMayBeUnstored(t *testing.T) {
	t.Parallel()

	sent := time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)
	lives, ended := &process{}, &process{}
	lives.ending(sent.Add(-time.Second)) // and was started again
	ended.ending(sent.Add(time.Second))
	for name, test := range map[string]struct {
		claim    claim
		keyTaken bool
		want     bool
	}{
		"ProcessEnded":      {claim{status: "processing", process: ended, sentAt: sent}, false, true},
		"ProcessEndedLago":  {claim{status: "pending", process: ended, sentAt: sent}, false, true},
		"ProcessLives":      {claim{status: "processing", process: lives, sentAt: sent}, false, false},
		"AnotherTookTheKey": {claim{status: "processing", process: lives, sentAt: sent}, true, true},
		"Final":             {claim{status: "completed", process: ended, sentAt: sent}, true, false},
		"Challenge":         {claim{status: "requires_action", process: ended, sentAt: sent}, false, false},
	} {
		require.Equal(t, test.want, test.claim.mayBeUnstored(test.keyTaken), name)
	}
}

func TestMayHaveMade(t *testing.T) {
	t.Parallel()

	for _, code := range []int{400, 401, 404, 409, 422, 429, 503} {
		for _, status := range wallet.PaymentStatuses {
			require.False(t, mayHaveMade(code, status), "%d %s", code, status)
		}
	}
	require.True(t, mayHaveMade(http.StatusPaymentRequired, wallet.PaymentFailed))
	require.True(t, mayHaveMade(http.StatusPaymentRequired, wallet.PaymentCanceled))
	require.False(t, mayHaveMade(http.StatusPaymentRequired, wallet.PaymentSucceeded))
	require.True(t, mayHaveMade(http.StatusInternalServerError, wallet.PaymentFailed))
	require.False(t, mayHaveMade(http.StatusInternalServerError, wallet.PaymentProcessing))
}

func TestParseClaimed(t *testing.T) {
	t.Parallel()

	id := wallet.NewID()
	for _, spelled := range []string{id.String(), wallet.Spell(wallet.PrefixPayment, wallet.ModeTest, id)} {
		got, err := parseClaimed(spelled)
		require.NoError(t, err)
		require.Equal(t, id, got)
	}
	_, err := parseClaimed("pay_test_nonsense")
	require.Error(t, err)
}
