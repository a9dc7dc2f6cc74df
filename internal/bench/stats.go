package bench

import (
	"slices"
	"time"
)

// Latency is the distribution of a set of durations, in milliseconds.
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

// quantile returns the smallest of the sorted durations that is not exceeded by the
// given percentage of them.
func quantile(sorted []time.Duration, percent int) time.Duration {
	i := (len(sorted)*percent + 99) / 100
	return sorted[max(i, 1)-1]
}

func milliseconds(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond)) / float64(time.Millisecond)
}

// median returns the middle value, or the mean of the two middle values. It returns
// 0 if there are no values.
func median(values []float64) float64 {
	n := len(values)
	if n == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// over returns a / b, or 0 if b is 0.
func over(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
