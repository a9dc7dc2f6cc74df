package postgres_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/postgres"
)

func TestResolve(t *testing.T) {
	t.Parallel()

	lost := &postgres.DoubtError{Err: errors.New("connection lost")}
	revoked := &pgconn.PgError{Severity: "ERROR", Code: "42501"}
	absent := &pgconn.PgError{Severity: "ERROR", Code: "23503"}
	for name, tc := range map[string]struct {
		answers []error // of one write after another
		want    error
	}{
		"Stored":                          {answers: []error{nil}},
		"RefusedAtOnce":                   {answers: []error{revoked}, want: revoked},
		"StoredByARepetition":             {answers: []error{lost, lost, nil}},
		"ARightIsRevokedMeanwhile":        {answers: []error{lost, revoked, nil}},
		"TheValuesAreRefusedByRepetition": {answers: []error{lost, absent}, want: absent},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			synctest.Test(t, func(t *testing.T) {
				written := 0
				err := postgres.Resolve(t.Context(), func() error {
					written++
					return tc.answers[written-1]
				})
				require.Equal(t, tc.want, err)
				require.Len(t, tc.answers, written)
			})
		})
	}

	t.Run("InDoubtToTheEnd", func(t *testing.T) {
		t.Parallel()

		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			first := true
			err := postgres.Resolve(ctx, func() error {
				if first {
					first = false
					return lost
				}
				return revoked
			})
			require.True(t, postgres.InDoubt(err), "the first write may have happened: %v", err)
		})
	})
}
