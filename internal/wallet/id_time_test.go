package wallet_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/wallet"
)

func TestFirstID(t *testing.T) {
	t.Parallel()

	at := time.Date(2026, 3, 14, 9, 26, 53, 589_000_000, time.UTC)
	require.Equal(t, "019cebab-8995-7000-8000-000000000000", wallet.FirstID(at).String())

	before := wallet.FirstID(time.Now())
	id := wallet.NewID()
	after := wallet.FirstID(time.Now().Add(time.Millisecond))
	require.LessOrEqual(t, bytes.Compare(before[:], id[:]), 0)
	require.Negative(t, bytes.Compare(id[:], after[:]))
	require.Equal(t, wallet.FirstID(time.Unix(0, 0)), wallet.FirstID(time.Time{}))
}
