package testdb

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/migrations"
)

func TestMain(m *testing.M) { Main(m) }

func TestNew(t *testing.T) {
	t.Parallel()

	t.Run("HasTheSchema", func(t *testing.T) {
		t.Parallel()

		require.NoError(t, migrations.Check(t.Context(), New(t)))
	})

	t.Run("EmptyHasNone", func(t *testing.T) {
		t.Parallel()

		require.ErrorIs(t, migrations.Check(t.Context(), New(t, Empty())), migrations.ErrUnknownSchema)
	})

	t.Run("IsTheTestsOwn", func(t *testing.T) {
		t.Parallel()

		a, b := New(t), New(t)
		_, err := a.Exec(t.Context(), "CREATE TABLE only_in_a ()")
		require.NoError(t, err)

		_, err = b.Exec(t.Context(), "SELECT FROM only_in_a")

		require.ErrorContains(t, err, "does not exist")
	})

	t.Run("LimitsConnections", func(t *testing.T) {
		t.Parallel()

		require.EqualValues(t, defaultMaxConns, New(t).Config().MaxConns)
		require.EqualValues(t, 3, New(t, MaxConns(3)).Config().MaxConns)
	})

	t.Run("DropsTheDatabase", func(t *testing.T) {
		t.Parallel()

		s, err := shared()
		require.NoError(t, err)
		var name string
		t.Run("Test", func(t *testing.T) { //nolint:paralleltest // it has to be over before the next line
			require.NoError(t, New(t).QueryRow(t.Context(), "SELECT current_database()").Scan(&name))
		})

		exists, err := s.exists(t.Context(), name)

		require.NoError(t, err)
		require.False(t, exists)
	})
}

func TestURL(t *testing.T) {
	t.Parallel()

	// The connection is still open when the database is dropped.
	conn, err := pgx.Connect(t.Context(), URL(t))
	require.NoError(t, err)
	require.NoError(t, conn.Ping(t.Context()))
}

func TestLeakedConnectionFailsTheTest(t *testing.T) {
	t.Parallel()

	pool := New(t)
	conn, err := pool.Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	leaky := &failureRecorder{TB: t}

	closePool(leaky, pool, 100*time.Millisecond)

	require.Equal(t, []string{"1 of the test's database connections were not released"}, leaky.failures)
}

// failureRecorder is a test that records its failures.
type failureRecorder struct {
	testing.TB
	failures []string
}

func (r *failureRecorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func BenchmarkNew(b *testing.B) {
	s, err := shared()
	require.NoError(b, err)
	for b.Loop() {
		name, err := s.createDatabase(b.Context(), false)
		require.NoError(b, err)
		require.NoError(b, s.dropDatabase(b.Context(), name))
	}
}

// testSchema is a schema with one table, and counts how often it is created.
func testSchema(t *testing.T, fingerprint string) (schema, *int) {
	t.Helper()
	made := new(int)
	return schema{
		fingerprint: fingerprint,
		migrate: func(ctx context.Context, pool *pgxpool.Pool) error {
			*made++
			_, err := pool.Exec(ctx, "CREATE TABLE made ()")
			return err
		},
	}, made
}
