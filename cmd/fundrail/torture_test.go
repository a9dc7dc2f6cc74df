package main

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/torture"
)

// stormWithin limits the whole time of a short storm on a busy machine.
const stormWithin = 3 * time.Minute

// report reads what a storm with --json printed.
func report(t *testing.T, p *process) torture.Report {
	t.Helper()
	line := regexp.MustCompile(`(?m)^\{.*\}$`).FindString(p.output.String())
	require.NotEmpty(t, line, p.output)
	var r torture.Report
	require.NoError(t, json.Unmarshal([]byte(line), &r), line)
	return r
}

func TestTorture(t *testing.T) {
	t.Parallel()

	binary := buildBinary(t)

	t.Run("Holds", func(t *testing.T) {
		t.Parallel()

		p := startProcess(t, binary, "", "torture", "--duration=6s", "--seed=3", "--json")

		require.NoError(t, p.wait(t, stormWithin), p.output)
		r := report(t, p)
		require.Empty(t, r.Findings)
		require.Positive(t, r.Charged)
		require.Equal(t, r.Charged, r.Credited)
		require.Positive(t, r.Answers)
		require.Positive(t, r.LogLines)
		require.Greater(t, r.Deliveries.Events, r.Charged)
		require.GreaterOrEqual(t, r.Deliveries.Received, r.Deliveries.Events)
		require.Zero(t, r.Deliveries.Lost)
		require.Zero(t, r.Deliveries.OutOfOrder)
		require.NotContains(t, p.output.String(), "the logs of the services are in")
	})

	t.Run("RefusesInvalidOptions", func(t *testing.T) {
		t.Parallel()

		r := fundrail(t, nil, "torture", "--break=gravity")

		require.Equal(t, exitFailed, r.code)
		require.Contains(t, r.stderr, `no switch called "gravity"`)
	})
}

func TestTorturePrintsATable(t *testing.T) {
	t.Parallel()

	r := torture.Report{
		Charged: 3, Credited: 2, Lost: 1, Processes: 1, Seed: 7, Duration: "1m0s", Drain: "4s", DrainLimit: "2m0s",
		Done:     []torture.Count{{Name: "processes killed (SIGKILL)", Count: 12}},
		Findings: []torture.Finding{{Check: "charge_is_credited", Detail: "pi_1 took 2500"}},
	}
	var text strings.Builder

	require.NoError(t, r.Print(&text))

	require.Regexp(t, `(?m)^  processes killed \(SIGKILL\) +12$`, text.String())
	require.Regexp(t, `(?m)^  lost +1$`, text.String())
	require.Contains(t, text.String(), "charge_is_credited: pi_1 took 2500")
	require.Contains(t, text.String(), "BROKEN: 1 finding. --seed 7 plays it again.")
}
