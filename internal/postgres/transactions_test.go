package postgres_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testdb"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

func TestListTransactions(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
	pairs := func(key, value string) []wallet.MetadataPair {
		return []wallet.MetadataPair{{Key: key, Value: json.RawMessage(value)}, {Key: "all", Value: json.RawMessage(`"yes"`)}}
	}
	request := into(m)
	request.Granted, request.Metadata = dec("9"), pairs("color", `"red"`)
	grant := mustTopUp(t, pool, request)[0]
	request = into(m)
	request.Now, request.Voided, request.Metadata = now.Add(time.Second), dec("1"), pairs("color", `"blue"`)
	void := mustTopUp(t, pool, request)[0]
	request = into(m)
	request.Now, request.Paid, request.Metadata = now.Add(2*time.Second), dec("1"), pairs("count", `5`)
	purchase := mustTopUp(t, pool, request)[0]

	for name, tc := range map[string]struct {
		filter postgres.TransactionFilter
		want   []wallet.ID
	}{
		"All":          {want: []wallet.ID{purchase.ID, void.ID, grant.ID}},
		"Pending":      {filter: postgres.TransactionFilter{Status: "pending"}, want: []wallet.ID{purchase.ID}},
		"Settled":      {filter: postgres.TransactionFilter{Status: "settled"}, want: []wallet.ID{void.ID, grant.ID}},
		"Granted":      {filter: postgres.TransactionFilter{Kind: "granted"}, want: []wallet.ID{grant.ID}},
		"Inbound":      {filter: postgres.TransactionFilter{Type: "inbound"}, want: []wallet.ID{purchase.ID, grant.ID}},
		"Metadata":     {filter: postgres.TransactionFilter{Metadata: map[string]string{"color": "blue"}}, want: []wallet.ID{void.ID}},
		"MetadataBoth": {filter: postgres.TransactionFilter{Metadata: map[string]string{"color": "red", "all": "yes"}}, want: []wallet.ID{grant.ID}},
		"MetadataNone": {filter: postgres.TransactionFilter{Metadata: map[string]string{"color": "red", "all": "no"}}, want: []wallet.ID{}},
		"MetadataNumber": {
			filter: postgres.TransactionFilter{Metadata: map[string]string{"count": "5"}}, want: []wallet.ID{},
		},
		"MetadataOdd": {filter: postgres.TransactionFilter{Metadata: map[string]string{`a"]`: `\`}}, want: []wallet.ID{}},
		"Combined": {
			filter: postgres.TransactionFilter{Status: "settled", Type: "inbound", Metadata: map[string]string{"all": "yes"}},
			want:   []wallet.ID{grant.ID},
		},
	} {
		list, total, err := postgres.ListTransactions(t.Context(), pool, m.Wallet.ID, tc.filter, wallet.Page{})
		require.NoError(t, err, name)
		got := []wallet.ID{}
		for _, one := range list {
			got = append(got, one.ID)
		}
		require.Equal(t, tc.want, got, name)
		require.Equal(t, len(tc.want), total, name)
	}

	list, total, err := postgres.ListTransactions(t.Context(), pool, m.Wallet.ID, postgres.TransactionFilter{}, wallet.Page{Number: 2, Size: 2})
	require.NoError(t, err)
	require.Equal(t, 3, total)
	require.Equal(t, grant.ID, list[0].ID)
	list, total, err = postgres.ListTransactions(t.Context(), pool, m.Wallet.ID, postgres.TransactionFilter{}, wallet.Page{Number: 3, Size: 2})
	require.NoError(t, err)
	require.Equal(t, 3, total)
	require.Empty(t, list)
}
