package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/stripesim/simtest"
	"github.com/fundrail/fundrail/internal/testdb"
)

func TestDoctor(t *testing.T) {
	t.Parallel()

	env := map[string]string{
		"DATABASE_URL":                testdb.URL(t),
		"PUBLIC_URL":                  "https://pay.example.com",
		"STRIPE_API_URL":              simtest.New(t).URL,
		"STRIPE_TEST_SECRET_KEY":      simtest.Key,
		"STRIPE_TEST_WEBHOOK_SECRETS": "whsec_doctor",
	}

	text := fundrail(t, env, "doctor", "--create-webhook")
	require.Equal(t, exitFailed, text.code, "no worker runs, and the new endpoint's secret is not set")
	require.Regexp(t, `(?m)^ok    settings `, text.stdout)
	require.Regexp(t, `(?m)^ok    stripe key \(test\) `, text.stdout)
	require.Regexp(t, `(?m)^mend  webhook endpoint \(test\) +we_\w+ was created.*\n +Put its signing secret.*\n +whsec_\w+$`, text.stdout)
	require.Regexp(t, `\n\d+ things to mend\.\n$`, text.stdout)
	require.Empty(t, text.stderr)

	r := fundrail(t, env, "doctor", "--json")
	require.Equal(t, exitFailed, r.code)
	var answer map[string]any
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &answer))
	require.Equal(t, false, answer["ok"])
	found := map[string]any{}
	for _, c := range answer["checks"].([]any) {
		found[c.(map[string]any)["check"].(string)] = c.(map[string]any)["status"]
	}
	require.Equal(t, "ok", found["webhook endpoint"])
	require.Equal(t, "mend", found["workers"])

	env["PUBLIC_URL"] = "pay.example.com"
	bad := fundrail(t, env, "doctor")
	require.Equal(t, exitFailed, bad.code, "an invalid setting is a finding, and the other checks run")
	require.Regexp(t, `(?m)^mend  settings +PUBLIC_URL must be`, bad.stdout)
	require.Regexp(t, `(?m)^ok    schema`, bad.stdout)
}
