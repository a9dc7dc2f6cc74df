package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// testNow is the time in commands that run in the process of the tests.
var testNow = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// result is the output and the exit code of a command that ran in this process.
type result struct {
	code           int
	stdout, stderr string
}

// fundrail runs a command in this process. Its environment has only the given
// variables.
func fundrail(t *testing.T, env map[string]string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), args, &app{
		Getenv: func(name string) string { return env[name] },
		Now:    func() time.Time { return testNow },
		Stderr: &stderr,
		Stdout: &stdout,
	})
	return result{code, stdout.String(), stderr.String()}
}

func TestRun(t *testing.T) {
	t.Parallel()

	t.Run("Help", func(t *testing.T) {
		t.Parallel()

		r := fundrail(t, nil, "--help")

		require.Equal(t, exitOK, r.code)
		require.Contains(t, r.stdout, "Usage: fundrail <command>")
		require.Empty(t, r.stderr)
	})

	t.Run("Version", func(t *testing.T) {
		t.Parallel()

		r := fundrail(t, nil, "--version")

		require.Equal(t, exitOK, r.code)
		require.Regexp(t, `^fundrail \S+ go1\.\d+`, r.stdout)
	})

	for _, tt := range []struct {
		name string
		env  map[string]string
		args []string
		want string
	}{
		{"BadEmail", map[string]string{"DATABASE_URL": "postgres://127.0.0.1:1"}, []string{"org", "create", "--name=Acme", "--email=acme"}, `--email: "acme" is not an e-mail address`},
		{"BadID", nil, []string{"key", "revoke", "one"}, "<key>: invalid"},
		{"BadMode", nil, []string{"key", "create", "--mode=both", "--organization=01990000-0000-7000-8000-000000000000"}, `--mode must be one of "test","live" but got "both"`},
		{"MissingFlag", map[string]string{"DATABASE_URL": "postgres://127.0.0.1:1"}, []string{"org", "create"}, "missing flags: --name"},
		{"MissingSetting", nil, []string{"audit"}, "DATABASE_URL is required"},
		{"NoCommand", nil, nil, "expected one of"},
		{"UnknownFlag", nil, []string{"audit", "--loud"}, "unknown flag --loud"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			r := fundrail(t, tt.env, tt.args...)

			require.NotEqual(t, exitOK, r.code)
			require.Contains(t, r.stderr, tt.want)
			require.Regexp(t, "^fundrail: ", r.stderr)
			require.Empty(t, r.stdout)
		})
	}

	t.Run("DatabaseAway", func(t *testing.T) {
		t.Parallel()

		r := fundrail(t, map[string]string{"DATABASE_URL": "postgres://fundrail:hush@127.0.0.1:1/fundrail"}, "audit")

		require.Equal(t, exitFailed, r.code)
		require.Contains(t, r.stderr, "fundrail: DATABASE_URL: failed to connect")
		require.NotContains(t, r.stderr, "hush")
	})
}
