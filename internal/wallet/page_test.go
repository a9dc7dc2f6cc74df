package wallet_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/wallet"
)

func TestPageMeta(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		page  wallet.Page
		total int
		want  string
	}{
		"Empty":      {wallet.Page{Number: 1}, 0, `{"current_page":0,"next_page":null,"prev_page":null,"total_pages":0,"total_count":0}`},
		"First":      {wallet.Page{}, 150, `{"current_page":1,"next_page":2,"prev_page":null,"total_pages":2,"total_count":150}`},
		"Last":       {wallet.Page{Number: 2}, 150, `{"current_page":2,"next_page":null,"prev_page":1,"total_pages":2,"total_count":150}`},
		"Middle":     {wallet.Page{Number: 2, Size: 10}, 25, `{"current_page":2,"next_page":3,"prev_page":1,"total_pages":3,"total_count":25}`},
		"OnlyOne":    {wallet.Page{Size: 25}, 25, `{"current_page":1,"next_page":null,"prev_page":null,"total_pages":1,"total_count":25}`},
		"BehindEnd":  {wallet.Page{Number: 9, Size: 10}, 25, `{"current_page":9,"next_page":null,"prev_page":null,"total_pages":3,"total_count":25}`},
		"BelowFirst": {wallet.Page{Number: -3, Size: -1}, 1, `{"current_page":1,"next_page":null,"prev_page":null,"total_pages":1,"total_count":1}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got, err := json.Marshal(tc.page.Meta(tc.total))

			require.NoError(t, err)
			require.JSONEq(t, tc.want, string(got))
		})
	}
}

func TestPageBounds(t *testing.T) {
	t.Parallel()

	for page, want := range map[wallet.Page][2]int64{
		{}:                            {100, 0},
		{Number: 3, Size: 20}:         {20, 40},
		{Number: 2, Size: 1_000_000}:  {1000, 1000},
		{Number: 1 << 62, Size: 1000}: {1000, (1_000_000_000 - 1) * 1000},
	} {
		limit, offset := page.Bounds()
		require.Equal(t, want, [2]int64{limit, offset}, page)
	}
}
