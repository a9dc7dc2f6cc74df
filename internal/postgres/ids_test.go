package postgres_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/testdb"
	"github.com/fundrail/fundrail/internal/wallet"
)

func TestIDs(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	a, b := wallet.NewID(), wallet.NewID()

	t.Run("Single", func(t *testing.T) {
		t.Parallel()

		var (
			read    wallet.ID
			pointer *wallet.ID
			none    *wallet.ID
			text    string
		)
		err := pool.QueryRow(t.Context(), `select $1::uuid, $2::uuid, $3::uuid, $1::uuid::text`, a, &b, none).
			Scan(&read, &pointer, &none, &text)
		require.NoError(t, err)
		require.Equal(t, a, read)
		require.Equal(t, b, *pointer)
		require.Nil(t, none)
		require.Equal(t, a.String(), text)

		require.Error(t, pool.QueryRow(t.Context(), `select null::uuid`).Scan(&read))
	})

	t.Run("Arrays", func(t *testing.T) {
		t.Parallel()

		for _, tt := range []struct {
			name string
			ids  any
			want string
		}{
			{"Several", []wallet.ID{a, b}, "{" + a.String() + "," + b.String() + "}"},
			{"None", []wallet.ID{}, "{}"},
			{"WithNull", []*wallet.ID{&a, nil, &b}, "{" + a.String() + ",NULL," + b.String() + "}"},
			{"OnlyNulls", []*wallet.ID{nil}, "{NULL}"},
			{"WithoutNull", []*wallet.ID{&b}, "{" + b.String() + "}"},
		} {
			var text string
			require.NoError(t, pool.QueryRow(t.Context(), `select $1::uuid[]::text`, tt.ids).Scan(&text), tt.name)
			require.Equal(t, tt.want, text, tt.name)
		}
		var text *string
		require.NoError(t, pool.QueryRow(t.Context(), `select $1::uuid[]::text`, []wallet.ID(nil)).Scan(&text))
		require.Nil(t, text, "a nil slice is null")

		var back []wallet.ID
		require.NoError(t, pool.QueryRow(t.Context(), `select $1::uuid[]`, []wallet.ID{a, b}).Scan(&back))
		require.Equal(t, []wallet.ID{a, b}, back)
	})
}
