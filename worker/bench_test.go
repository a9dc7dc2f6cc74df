package worker_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/fundrail/fundrail/internal/config"
	"github.com/fundrail/fundrail/worker"
)

// BenchmarkFund measures the time from POST /v1/wallet/fund to its answer, without
// other load, for a card that succeeds at once. It includes accepting the payment,
// the job, the charge at the simulator and the settlement.
func BenchmarkFund(b *testing.B) {
	s := setup(b)
	p := s.start(b, func(o *worker.Options) {
		o.Settings.Limits = config.Limits{
			ActionDeadline: time.Hour, FundWait: 20 * time.Second, RateLimitPerMinute: 1 << 30, Workers: 100,
		}
	})
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		status, answer := s.fund(b, p, nil)
		took = append(took, time.Since(began))
		if status != http.StatusOK {
			b.Fatal(status, answer)
		}
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}
