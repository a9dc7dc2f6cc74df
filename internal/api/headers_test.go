package api

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()

	longest := strings.Repeat("k", 255)
	for sent, want := range map[string]string{
		"abc":                 "abc",
		`"abc"`:               "abc",
		`"a\"b\\c"`:           `a"b\c`,
		`a"b`:                 `a"b`,
		`abc"`:                `abc"`,
		"!~":                  "!~",
		longest:               longest,
		`"` + longest + `"`:   longest,
		"8e03978e-40d5-43e8#": "8e03978e-40d5-43e8#",
	} {
		key, err := IdempotencyKey(http.Header{"Idempotency-Key": {sent}})
		require.NoError(t, err, sent)
		require.Equal(t, want, key)
	}

	for _, sent := range []string{
		"", " ", `""`, `"`, `"abc`, `"abc"x`, `"abc";p=1`, `"a\bc"`, `"abc\"`, "a b", `"a b"`, "a\tb", "ü", "a\x7f",
		longest + "k", `"` + longest + `k"`,
	} {
		_, err := IdempotencyKey(http.Header{"Idempotency-Key": {sent}})
		requireCode(t, err, http.StatusBadRequest, "idempotency_key_invalid")
	}

	_, err := IdempotencyKey(http.Header{"Idempotency-Key": {"abc", "abc"}})
	requireCode(t, err, http.StatusBadRequest, "idempotency_key_invalid")

	key, err := IdempotencyKey(http.Header{})
	require.NoError(t, err)
	require.Empty(t, key)
}

func FuzzIdempotencyKey(f *testing.F) {
	for _, seed := range []string{"", "abc", `"abc"`, `"a\"b"`, `"a\`, "\x00", strings.Repeat("k", 256)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sent string) {
		key, err := IdempotencyKey(http.Header{"Idempotency-Key": {sent}})
		if err != nil {
			requireCode(t, err, http.StatusBadRequest, "idempotency_key_invalid")
			return
		}
		require.NotEmpty(t, key)
		require.LessOrEqual(t, len(key), 255)
		quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(key) + `"`
		again, err := IdempotencyKey(http.Header{"Idempotency-Key": {quoted}})
		require.NoError(t, err)
		require.Equal(t, key, again, "bare and quoted are the same key")
	})
}

func TestPreferredWait(t *testing.T) {
	t.Parallel()

	const otherwise = 20 * time.Second
	for sent, want := range map[string]struct {
		wait    time.Duration
		applied string
	}{
		"":                             {otherwise, ""},
		"return=minimal":               {otherwise, ""},
		"wait=5":                       {5 * time.Second, "wait=5"},
		`Wait = "5"; strict, foo`:      {5 * time.Second, "wait=5"},
		"wait=0":                       {0, "wait=0"},
		"wait=60":                      {time.Minute, "wait=60"},
		"wait=61":                      {time.Minute, "wait=60"},
		"wait=2147483647":              {time.Minute, "wait=60"},
		"wait=99999999999999999999":    {otherwise, ""},
		"wait=-1":                      {otherwise, ""},
		"wait=1.5":                     {otherwise, ""},
		"wait":                         {otherwise, ""},
		"wait=3, wait=7":               {3 * time.Second, "wait=3"},
		"respond-async":                {0, "respond-async"},
		"foo=1, Respond-Async":         {0, "respond-async"},
		"respond-async, wait=4":        {4 * time.Second, "wait=4"},
		"respond-async; x=1, wait=bad": {0, "respond-async"},
	} {
		header := http.Header{}
		if sent != "" {
			header.Set("Prefer", sent)
		}
		p := PreferredWait(header)
		require.Equal(t, want.wait, p.OrElse(otherwise), sent)
		require.Equal(t, want.applied, p.applied, sent)
	}

	p := PreferredWait(http.Header{"Prefer": {"return=minimal", "wait=2"}})
	require.Equal(t, 2*time.Second, p.OrElse(otherwise), "sent as two fields")
}

func TestOtherKind(t *testing.T) {
	t.Parallel()

	for _, token := range []string{
		"lava_sk_abc", "lava_wk_abc",
		"eyJzZWNyZXRfa2V5IjoiYWtzX3Rlc3RfMSJ9",
		"eyJzZWNyZXRfa2V5IjoiYSIsImN1c3RvbWVyX2lkIjoiYiJ9",
		"eyJzZWNyZXRfa2V5IjoiPz8_In0", // with base64url's own characters
		"eyJzZWNyZXRfa2V5IjoiYSJ9Cg==",
	} {
		require.True(t, otherKind(token), token)
	}
	for _, token := range []string{
		"aks_test_abc", "aks_live_abc", "abc", "lava_abc", "e30=", "eyJjdXN0b21lcl9pZCI6ImEifQ==", "WyJzZWNyZXRfa2V5Il0=",
	} {
		require.False(t, otherKind(token), token)
	}
}

// requireCode expects an *Error with this status and code.
func requireCode(t *testing.T, err error, status int, code string) {
	t.Helper()

	var e *Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, status, e.Status)
	require.Equal(t, code, e.Code)
}
