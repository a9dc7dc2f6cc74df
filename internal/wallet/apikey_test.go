package wallet_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/wallet"
)

func TestNewAPIKey(t *testing.T) {
	t.Parallel()

	require.Regexp(t, `^aks_test_[0-9A-Za-z]{40}$`, wallet.NewAPIKey(wallet.ModeTest))
	require.Regexp(t, `^aks_live_[0-9A-Za-z]{40}$`, wallet.NewAPIKey(wallet.ModeLive))
	first, second := wallet.NewAPIKey(wallet.ModeTest), wallet.NewAPIKey(wallet.ModeTest)
	require.NotEqual(t, first, second)
}
