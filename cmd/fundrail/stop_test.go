package main

import (
	"io"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripesim"
	"github.com/fundrail/fundrail/internal/stripesim/simtest"
	"github.com/fundrail/fundrail/internal/wallet"
)

// service starts fundrail on the bundle's database and Stripe.
func (b *crashBundle) service(t *testing.T, command string, args ...string) *process {
	t.Helper()

	return startProcess(t, b.binary, b.pool.Config().ConnString(), append([]string{
		command, "--listen=" + b.addr, "--log-format=text",
		"--stripe-api-url=" + b.sim.URL, "--stripe-test-secret-key=" + simtest.Key, "--stripe-test-webhook-secrets=whsec_crash",
	}, args...)...)
}

// readiness returns what a load balancer reads.
func readiness(addr string) (int, string) {
	res, err := http.Get("http://" + addr + "/readyz")
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(text)
}

func TestStop(t *testing.T) {
	t.Parallel()

	binary := buildBinary(t)

	t.Run("AnswersWaitingCallersAndHandsBackJobs", func(t *testing.T) {
		t.Parallel()

		b := setupCrash(t, binary, crash{card: crashVisa, deaf: true})
		fault := b.sim.Fault(stripesim.Fault{
			Delay: stripesim.Duration(time.Minute), Kind: stripesim.FaultHang,
			Match: stripesim.Match{Method: http.MethodPost, Path: "/v1/payment_intents"}, When: stripesim.After,
		})
		p := b.service(t, "serve", "--stop-within=2s")
		require.Eventually(t, func() bool { return answers("http://" + b.addr + "/readyz") }, startWithin, lookEvery)
		type result struct {
			status int
			answer map[string]any
		}
		answered := make(chan result, 1)
		go func() {
			status, answer := b.fund(t.Context())
			answered <- result{status, answer}
		}()
		require.Eventually(t, func() bool { return b.sim.Applied(fault) > 0 }, startWithin, lookEvery)

		p.stop(t, syscall.SIGTERM)

		r := <-answered
		require.Equal(t, http.StatusAccepted, r.status, "%v", r.answer)
		require.Equal(t, "processing", r.answer["status"])
		require.Contains(t, p.output.String(), "msg=stopped")
		b.sim.ClearFaults()
		// The new process has another address, and a rescue would come much later. So it can
		// only continue a job that was handed back.
		next := b.service(t, "worker")
		require.Eventually(t, func() bool { return b.payment(t).Status == wallet.PaymentSucceeded }, stopWithin, lookEvery)
		require.Len(t, b.sim.Intents(false), 1, "charged once")
		next.stop(t, syscall.SIGTERM)
		report, err := postgres.Audit(t.Context(), b.pool)
		require.NoError(t, err)
		require.Empty(t, report.Findings)
	})

	t.Run("ServesUntilLoadBalancersNotice", func(t *testing.T) {
		t.Parallel()

		b := setupCrash(t, binary, crash{card: crashVisa})
		p := b.service(t, "serve", "--stop-delay=8s")
		require.Eventually(t, func() bool { return answers("http://" + b.addr + "/readyz") }, startWithin, lookEvery)

		require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))

		require.Eventually(t, func() bool {
			status, text := readiness(b.addr)
			return status == http.StatusServiceUnavailable && text == "not ready: stopping\n"
		}, startWithin, lookEvery)
		status, answer := b.fund(t.Context())
		require.Equal(t, http.StatusOK, status, "%v", answer)
		require.Equal(t, "completed", answer["status"])
		require.NoError(t, p.wait(t, stopWithin+10*time.Second))
	})
}
