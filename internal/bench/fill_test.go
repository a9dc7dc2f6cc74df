package bench

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/postgres/views"
	"github.com/fundrail/fundrail/internal/testdb"
	"github.com/fundrail/fundrail/internal/wallet"
)

// TestFill checks that generated rows pass the audit and appear in the dashboard's
// lists.
func TestFill(t *testing.T) {
	t.Parallel()

	now := time.Date(2026, time.November, 3, 9, 0, 0, 0, time.UTC)
	pool := testdb.New(t)
	for range 2 { // a second run adds to the first
		require.NoError(t, Fill{
			Payments: 2000, Jobs: 600, Until: now, Over: 24 * time.Hour, Progress: func(string, int) {},
		}.Run(t.Context(), pool))
	}
	report, err := postgres.Audit(t.Context(), pool)
	require.NoError(t, err)
	require.Empty(t, report.Findings)
	for _, f := range []views.PaymentFilter{{Challenge: "started"}, {Challenge: "returned"}, {Challenge: "completed"}, {Challenge: "failed"}} {
		f.Mode, f.From, f.Limit = wallet.ModeTest, now.Add(-25*time.Hour), 5
		page, err := views.ListPaymentRows(t.Context(), pool, f)
		require.NoError(t, err)
		require.Len(t, page.Rows, 5, f.Challenge)
	}
	invoices, err := views.ListInvoiceRows(t.Context(), pool, views.OwnerFilter{Mode: wallet.ModeTest, Limit: 100})
	require.NoError(t, err)
	require.Len(t, invoices.Rows, 100)
	require.NotEmpty(t, invoices.Next)
}
