package postgres_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testdb"
	"github.com/fundrail/fundrail/internal/wallet"
)

type columnsKey struct {
	ID wallet.ID `db:"id"`
}

// columnsRow has a field of every type that rows of this package have.
type columnsRow struct {
	columnsKey
	Currency wallet.Currency `db:"currency"`
	Amount   int64           `db:"amount"`
	Credits  decimal.Decimal `db:"credits"`
	At       time.Time       `db:"at"`
	Flag     bool            `db:"flag"`

	Other  *wallet.ID       `db:"other"`
	Reason *string          `db:"reason"`
	Left   *int64           `db:"remaining"`
	Due    *time.Time       `db:"due"`
	Funds  *wallet.Currency `db:"funds"`

	Position int // has no tag, so it is no parameter
	Skipped  int `db:"-"`
}

func TestColumnsOf(t *testing.T) {
	t.Parallel()

	other, reason, left, due, funds := wallet.NewID(), "fraudulent", int64(7), now.Add(time.Hour), wallet.USD
	rows := []columnsRow{
		{columnsKey: columnsKey{ID: wallet.NewID()}, Currency: "EUR", Amount: 1, Credits: decimal.RequireFromString("1.23456"), At: now, Position: 1},
		{
			columnsKey: columnsKey{ID: wallet.NewID()}, Currency: "USD", Amount: -2, Credits: decimal.RequireFromString("-2.5"), At: now.Add(time.Second),
			Flag: true, Other: &other, Reason: &reason, Left: &left, Due: &due, Funds: &funds, Position: 2,
		},
	}

	t.Run("OneSliceForEachTaggedField", func(t *testing.T) {
		t.Parallel()

		columns := postgres.ColumnsOf(rows)

		require.Len(t, columns, 11)
		require.Equal(t, []wallet.ID{rows[0].ID, rows[1].ID}, columns["id"])
		require.Equal(t, []int64{1, -2}, columns["amount"])
		require.Equal(t, []wallet.Currency{"EUR", "USD"}, columns["currency"])
		require.Equal(t, []*string{nil, &reason}, columns["reason"])
	})

	t.Run("NoRows", func(t *testing.T) {
		t.Parallel()

		require.Equal(t, []int64{}, postgres.ColumnsOf([]columnsRow{})["amount"])
		require.Equal(t, []int64{}, postgres.ColumnsOf[columnsRow](nil)["amount"])
	})

	t.Run("TwoFieldsOfOneName", func(t *testing.T) {
		t.Parallel()

		type row struct {
			Refunded int64 `db:"amount"`
			Disputed int64 `db:"amount"`
		}
		require.Panics(t, func() { postgres.ColumnsOf([]row{{}}) })
	})

	t.Run("ThroughTheDatabase", func(t *testing.T) {
		t.Parallel()

		pool := testdb.New(t)
		result, err := pool.Query(t.Context(), `
			select
				unnest(@id::uuid[]) as id,
				unnest(@currency::text[]) as currency,
				unnest(@amount::bigint[]) as amount,
				unnest(@credits::numeric[]) as credits,
				unnest(@at::timestamptz[]) as at,
				unnest(@flag::boolean[]) as flag,
				unnest(@other::uuid[]) as other,
				unnest(@reason::text[]) as reason,
				unnest(@remaining::bigint[]) as remaining,
				unnest(@due::timestamptz[]) as due,
				unnest(@funds::text[]) as funds,
				0 as position`, postgres.ColumnsOf(rows))
		require.NoError(t, err)
		got, err := pgx.CollectRows(result, pgx.RowToStructByName[columnsRow])
		require.NoError(t, err)

		require.Len(t, got, len(rows))
		for i, want := range rows {
			require.True(t, want.Credits.Equal(got[i].Credits), "%s, not %s", want.Credits, got[i].Credits)
			require.True(t, want.At.Equal(got[i].At))
			got[i].Credits, got[i].At, got[i].Position = want.Credits, want.At, want.Position
			if want.Due != nil {
				require.True(t, want.Due.Equal(*got[i].Due))
				got[i].Due = want.Due
			}
			require.Equal(t, want, got[i])
		}
	})
}
