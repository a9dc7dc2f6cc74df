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

// copyDatabase makes a copy of a database to which nobody is connected, as a
// restored backup is one, and returns its address.
func copyDatabase(t *testing.T, address string) string {
	t.Helper()

	u, err := url.Parse(address)
	require.NoError(t, err)
	name := strings.TrimPrefix(u.Path, "/")
	copied, admin := *u, testdb.URL(t, testdb.Empty()) // a database beside it to work from
	copied.Path = u.Path + "_restored"
	conn, err := pgx.Connect(t.Context(), admin)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(t.Context())) }()
	var problem error
	require.Eventually(t, func() bool { // connections take a moment to go
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

// TestRestoredBooks is the end of the drill of docs/operations.md: what a backup
// holds adds up, and what was lost behind it is found at Stripe.
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
