package main

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/stripesim/simtest"
	"github.com/fundrail/fundrail/internal/testdb"
)

// copyDatabase copies a database, as restoring a backup does, and returns the address
// of the copy. The database must have no connections.
func copyDatabase(t *testing.T, address string) string {
	t.Helper()

	u, err := url.Parse(address)
	require.NoError(t, err)
	name := strings.TrimPrefix(u.Path, "/")
	copied, admin := *u, testdb.URL(t, testdb.Empty()) // a database on the same server to connect to
	copied.Path = u.Path + "_restored"
	conn, err := pgx.Connect(t.Context(), admin)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(t.Context())) }()
	var problem error
	require.Eventually(t, func() bool { // closed connections disappear after a moment
		_, problem = conn.Exec(t.Context(),
			"create database "+pgx.Identifier{name + "_restored"}.Sanitize()+" template "+pgx.Identifier{name}.Sanitize())
		return problem == nil
	}, startWithin, lookEvery)
	require.NoError(t, problem)
	t.Cleanup(func() {
		ctx := context.Background()
		conn, err := pgx.Connect(ctx, admin)
		require.NoError(t, err)
		_, err = conn.Exec(ctx, "drop database "+pgx.Identifier{name + "_restored"}.Sanitize()+" with (force)")
		require.NoError(t, err)
		require.NoError(t, conn.Close(ctx))
	})
	return copied.String()
}

// TestRestoredBooks checks the last steps of the drill in docs/operations.md: the books
// in a backup are consistent, and payments made after it are found at Stripe.
func TestRestoredBooks(t *testing.T) {
	t.Parallel()

	b := setupCrash(t, buildBinary(t), crash{card: crashVisa})
	fund := func(key string) {
		p := b.service(t, "serve")
		require.Eventually(t, func() bool { return answers("http://" + b.addr + "/readyz") }, startWithin, lookEvery)
		status, answer := b.fundUnder(t.Context(), key)
		require.Equal(t, http.StatusOK, status, "%v", answer)
		p.stop(t, syscall.SIGTERM)
	}
	original := b.pool.Config().ConnString()
	env := func(database string) map[string]string {
		return map[string]string{"DATABASE_URL": database, "STRIPE_API_URL": b.sim.URL, "STRIPE_TEST_SECRET_KEY": simtest.Key}
	}

	fund("before")
	b.pool.Reset()
	restored := copyDatabase(t, original)
	fund("after")

	require.Contains(t, fundrail(t, env(restored), "audit").stdout, "1 payment, 1 transfer: everything adds up")
	r := fundrail(t, env(restored), "reconcile", "--since=720h")
	require.Equal(t, exitFailed, r.code)
	require.Contains(t, r.stdout, "1 difference")
	require.Contains(t, r.stdout, "25.00 USD for a payment that is not known")
	require.Contains(t, fundrail(t, env(original), "audit").stdout, "2 payments, 2 transfers: everything adds up")
	r = fundrail(t, env(original), "reconcile", "--since=720h")
	require.Equal(t, exitOK, r.code, r.stdout)
}
