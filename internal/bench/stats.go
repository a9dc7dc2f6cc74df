package bench

import (
	"slices"
	"time"
)

// Latency is how a set of durations is spread, in milliseconds.
type Latency struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50_ms"`
	P99   float64 `json:"p99_ms"`
	Max   float64 `json:"max_ms"`
}

func newLatency(all []time.Duration) Latency {
	if len(all) == 0 {
		return Latency{}
	}
	sorted := slices.Clone(all)
	slices.Sort(sorted)
	return Latency{
		Count: len(sorted),
		P50:   milliseconds(quantile(sorted, 50)),
		P99:   milliseconds(quantile(sorted, 99)),
		Max:   milliseconds(sorted[len(sorted)-1]),
	}
}

// quantile is the smallest of the sorted durations that percent of them do not
// exceed.
func quantile(sorted []time.Duration, percent int) time.Duration {
	i := (len(sorted)*percent + 99) / 100
	return sorted[max(i, 1)-1]
}

func milliseconds(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond)) / float64(time.Millisecond)
}

// median is the middle of the values, or the mean of the two in the middle, and
// 0 of none.
func median(values []float64) float64 {
	n := len(values)
	if n == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// over is a ratio, and 0 where there is nothing to compare with.
func over(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
