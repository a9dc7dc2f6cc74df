package main

import (
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/postgres"
)

// screen is the visible output.
type screen struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// watched is an app with or without a terminal as its output.
func watched(terminal bool, env map[string]string) (*app, *screen, *screen) {
	out, errs := &screen{}, &screen{}
	return &app{
		Getenv:   func(name string) string { return env[name] },
		Now:      func() time.Time { return testNow },
		Stdout:   out,
		Stderr:   errs,
		Terminal: func(io.Writer) bool { return terminal },
	}, out, errs
}

func TestColors(t *testing.T) {
	t.Parallel()

	report := postgres.AuditReport{AuditScope: postgres.AuditScope{Wallets: 1}}
	wrong := postgres.AuditReport{Findings: []postgres.Finding{{Check: "balance", ID: "w", Detail: "1.00"}}}
	say := func(a *app) {
		var c auditCmd
		require.NoError(t, c.print(a, report))
		require.NoError(t, c.print(a, wrong))
		a.errorf("one\ntwo")
	}

	t.Run("OnATerminal", func(t *testing.T) {
		t.Parallel()

		a, out, errs := watched(true, nil)
		say(a)
		require.Contains(t, out.String(), "\x1b[32maudit: 1 wallet, 0 payments, 0 transfers: everything adds up\x1b[0m\n")
		require.Contains(t, out.String(), "\x1b[31maudit: 0 wallets, 0 payments, 0 transfers: 1 finding\x1b[0m\n")
		require.Contains(t, out.String(), "\x1b[1mCHECK    ID  DETAIL\x1b[0m\nbalance  w   1.00\n")
		require.Equal(t, "\x1b[31mfundrail: \x1b[0mone\n          two\n", errs.String())
	})

	for name, tt := range map[string]struct {
		terminal bool
		env      map[string]string
	}{
		"Nowhere":     {false, nil},
		"UnwantedOne": {true, map[string]string{"NO_COLOR": "1"}},
		"DumbOne":     {true, map[string]string{"TERM": "dumb"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			a, out, errs := watched(tt.terminal, tt.env)
			say(a)
			require.NotContains(t, out.String()+errs.String(), "\x1b")
			require.Contains(t, out.String(), "CHECK    ID  DETAIL\nbalance  w   1.00\n")
		})
	}

	t.Run("JSONHasNone", func(t *testing.T) {
		t.Parallel()

		a, out, _ := watched(true, nil)
		c := auditCmd{JSON: true}
		require.NoError(t, c.print(a, wrong))
		require.NotContains(t, out.String(), "\x1b")
	})
}

func TestWaiting(t *testing.T) {
	t.Parallel()

	t.Run("IsClearedAtTheEnd", func(t *testing.T) {
		t.Parallel()

		a, out, errs := watched(true, map[string]string{"NO_COLOR": "1"})
		done := a.waiting("proving")
		require.Eventually(t, func() bool { return strings.Contains(errs.String(), "\r\x1b[K⠙ proving 0 s") }, 10*time.Second, time.Millisecond)
		done()
		require.True(t, strings.HasSuffix(errs.String(), "\r\x1b[K"))
		require.Empty(t, out.String(), "standard output is unchanged")
	})

	t.Run("ShortWaitsAreNotShown", func(t *testing.T) {
		t.Parallel()

		a, _, errs := watched(true, nil)
		a.waiting("proving")()
		require.Empty(t, errs.String())
	})

	for name, tt := range map[string]struct {
		terminal bool
		env      map[string]string
	}{
		"NoTerminal":       {false, nil},
		"TerminalIsSimple": {true, map[string]string{"TERM": "dumb"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			a, _, errs := watched(tt.terminal, tt.env)
			done := a.waiting("proving")
			timer := time.NewTimer(waitQuiet + 2*waitEvery)
			<-timer.C
			done()
			require.Empty(t, errs.String())
		})
	}
}
