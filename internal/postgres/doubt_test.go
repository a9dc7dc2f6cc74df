package postgres_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testdb"
)

// A server says the severity in the language of its lc_messages.
func TestSentReadsSeverityInEveryLanguage(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct {
		err   pgconn.PgError
		doubt bool
	}{
		"Fatal":        {pgconn.PgError{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: "53300"}, true},
		"FatalTurkish": {pgconn.PgError{Severity: "ÖLÜMCÜL (FATAL)", SeverityUnlocalized: "FATAL", Code: "53300"}, true},
		"PanicGerman":  {pgconn.PgError{Severity: "PANIK", SeverityUnlocalized: "PANIC", Code: "53100"}, true},
		"FatalOfOld":   {pgconn.PgError{Severity: "FATAL", Code: "53300"}, true},
		"Error":        {pgconn.PgError{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "23505"}, false},
		"ErrorGerman":  {pgconn.PgError{Severity: "FEHLER", SeverityUnlocalized: "ERROR", Code: "23505"}, false},
		"ErrorOfOld":   {pgconn.PgError{Severity: "ERROR", Code: "23505"}, false},
	} {
		require.Equal(t, c.doubt, postgres.InDoubt(postgres.Sent(&c.err)), name)
	}
}

// A server that refuses the login has seen no statement that it could refuse.
func TestRefusedLoginIsUnavailable(t *testing.T) {
	t.Parallel()

	config := testdb.New(t).Config().ConnConfig.Copy()
	config.User = "unknown"

	_, err := pgx.ConnectConfig(t.Context(), config)

	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, "28", pgErr.Code[:2])
	require.True(t, postgres.Unavailable(fmt.Errorf("acquire connection: %w", err)))
	require.False(t, postgres.InDoubt(postgres.Sent(err)))
	require.False(t, postgres.Unavailable(pgErr), "the code alone is about the statement")
}
