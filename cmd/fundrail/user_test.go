package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/dashboard"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testdb"
)

func TestUser(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	env := map[string]string{"DATABASE_URL": pool.Config().ConnString()}

	o := object(t, fundrail(t, env, "user", "create", "--email=Ada@Fundrail.test", "--role=operator", "--json"))
	require.Equal(t, "ada@fundrail.test", o["email"])
	made := o["password"].(string)
	stored := func() postgres.User {
		u, err := postgres.FindUser(t.Context(), pool, "ada@fundrail.test")
		require.NoError(t, err)
		return u
	}
	matches := func(password string) bool {
		ok, err := dashboard.CheckPassword(stored().PasswordHash, password)
		require.NoError(t, err)
		return ok
	}
	require.Equal(t, postgres.RoleOperator, stored().Role)
	require.True(t, matches(made))

	r := fundrail(t, env, "user", "create", "--email=ada@fundrail.test")
	require.Equal(t, exitFailed, r.code)
	require.Contains(t, r.stderr, "exists already")

	r = fundrail(t, env, "user", "list")
	require.Contains(t, r.stdout, "ada@fundrail.test  operator")
	require.NotContains(t, r.stdout, "argon2")

	r = fundrail(t, env, "user", "disable", "ada@fundrail.test")
	require.Equal(t, exitOK, r.code, r.stderr)
	require.NotNil(t, stored().DisabledAt)

	given := func(password string, args ...string) int {
		var stdout, stderr bytes.Buffer
		return run(t.Context(), args, &app{
			Getenv: func(name string) string { return env[name] }, Now: func() time.Time { return testNow },
			Stderr: &stderr, Stdin: strings.NewReader(password), Stdout: &stdout,
		})
	}
	require.Equal(t, exitOK, given("correct horse battery\nand more\n", "user", "password", "ada@fundrail.test", "--password-stdin"))
	require.True(t, matches("correct horse battery"))
	require.Nil(t, stored().DisabledAt, "a new password enables the user again")
	require.Equal(t, exitFailed, given("short", "user", "password", "ada@fundrail.test", "--password-stdin"))
	require.Equal(t, exitFailed, fundrail(t, env, "user", "disable", "unknown@fundrail.test").code)
}

func TestSeedAddsUp(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	env := map[string]string{"DATABASE_URL": pool.Config().ConnString()}

	for range 2 { // the second run adds rows
		r := fundrail(t, env, "seed", "--payments=500", "--jobs=1200", "--over=24h")
		require.Equal(t, exitOK, r.code, r.stderr)
		require.Contains(t, r.stdout, "1200  river_job")
	}

	r := fundrail(t, env, "audit")
	require.Equal(t, exitOK, r.code, r.stdout)
	require.Contains(t, r.stdout, "1000 payments")
}
