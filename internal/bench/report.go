package bench

import (
	"cmp"
	"slices"
)

// Report is the result of a measurement. Its JSON is one line.
type Report struct {
	Ratios   Ratios     `json:"ratios"`
	Goals    []Goal     `json:"goals"`
	Setting  Setting    `json:"setting"`
	Baseline []Baseline `json:"baseline"`
	// Settled has one run per round for each kind of load.
	Settled map[string]Series `json:"settled"`
	Intake  []Intake          `json:"webhook_intake"`
	Latency map[string]Run    `json:"latency"`
	Idle    Idle              `json:"idle"`
	Sweeps  []Sweep           `json:"sweeps,omitempty"`
	Audits  []Audit           `json:"audits"`
}

// Ratios are figures that should be the same on another machine. Each is the median
// of the rounds' ratios.
type Ratios struct {
	SettledVsTPCB                float64 `json:"settled_vs_tpcb"`
	SettledVsPlainRiver          float64 `json:"settled_vs_plain_river"`
	OneWalletVsMany              float64 `json:"one_wallet_vs_many"`
	FullVsEmpty                  float64 `json:"full_vs_empty"`
	WebhookIntakeVsSingleInserts float64 `json:"webhook_intake_vs_single_inserts"`
	AcceptP99VsCommit            float64 `json:"accept_p99_vs_commit"`
}

// Goal compares a figure with its goal.
type Goal struct {
	Name string `json:"name"`
	// AtLeast reports whether the goal is a minimum. Otherwise it is a maximum.
	AtLeast bool    `json:"at_least"`
	Goal    float64 `json:"goal"`
	Value   float64 `json:"value"`
	Met     bool    `json:"met"`
}

// Setting describes the environment of the measurement.
type Setting struct {
	Postgres   string            `json:"postgres"`
	Durability map[string]string `json:"durability"`
	Go         string            `json:"go"`
	CPUs       int               `json:"cpus"`
	Challenges float64           `json:"challenges"`
	Preloaded  int64             `json:"preloaded"`
	Processes  int               `json:"processes"`
	Workers    int               `json:"workers"`
}

// Baseline is the result of pgbench on the same server in one round.
type Baseline struct {
	TPCB    float64 `json:"tpcb_per_second_16_clients"`
	Inserts float64 `json:"insert_per_second_16_clients"`
	Commit  Latency `json:"insert_1_client"`
}

// Series holds the runs of one load, one per round.
type Series []Run

// Idle is the processor time of idle processes, in percent of one core.
type Idle struct {
	App      float64 `json:"app_percent"`
	Postgres float64 `json:"postgres_percent"`
}

// Audit is the result of the audit of one database.
type Audit struct {
	Database  string `json:"database"`
	Wallets   int64  `json:"wallets"`
	Payments  int64  `json:"payments"`
	Transfers int64  `json:"transfers"`
	Findings  int    `json:"findings"`
}

// Middle returns the run with the median rate.
func (s Series) Middle() Run {
	if len(s) == 0 {
		return Run{}
	}
	sorted := slices.SortedFunc(slices.Values(s), func(a, b Run) int { return cmp.Compare(a.PerSecond, b.PerSecond) })
	return sorted[(len(sorted)-1)/2]
}

// versus returns the median of the ratios of the rates, round by round.
func (s Series) versus(o Series) float64 {
	var ratios []float64
	for i := range min(len(s), len(o)) {
		ratios = append(ratios, over(s[i].PerSecond, o[i].PerSecond))
	}
	return median(ratios)
}

// conclude computes the ratios and the goals.
func (r *Report) conclude() {
	many := r.Settled[loadMany64]
	var tpcb, intake, commit []float64
	for i, base := range r.Baseline {
		if i < len(many) {
			tpcb = append(tpcb, over(many[i].PerSecond, base.TPCB))
		}
		if i < len(r.Intake) {
			intake = append(intake, over(r.Intake[i].PerSecond, base.Inserts))
		}
		commit = append(commit, base.Commit.P50)
	}
	r.Ratios = Ratios{
		SettledVsTPCB:                median(tpcb),
		SettledVsPlainRiver:          many.versus(r.Settled[loadPlain]),
		OneWalletVsMany:              r.Settled[loadOneWallet].versus(many),
		FullVsEmpty:                  r.Settled[loadFull].versus(many),
		WebhookIntakeVsSingleInserts: median(intake),
		AcceptP99VsCommit:            over(r.Latency[latencyHalfAccept].Accept.P99, median(commit)),
	}
	middle := many.Middle()
	r.Goals = []Goal{
		atLeast("settled payments/s (64 clients) over TPC-B transactions/s (16 clients)", 1, r.Ratios.SettledVsTPCB),
		atLeast("settled payments/s over the plain River program's", 6, r.Ratios.SettledVsPlainRiver),
		atLeast("into one wallet over into 10,000 wallets", 0.9, r.Ratios.OneWalletVsMany),
		atLeast("with payments stored over with none", 0.9, r.Ratios.FullVsEmpty),
		atLeast("webhooks taken in/s (64 clients) over one-row inserts/s (16 clients)", 1, r.Ratios.WebhookIntakeVsSingleInserts),
		atMost("accept p99 at half load over the median one-row transaction", 10, r.Ratios.AcceptP99VsCommit),
		atMost("request to settled, p99 at 3/s, ms", 20, r.Latency[latencyFew].Settle.P99),
		atMost("request to settled, p99 at 200/s, ms", 30, r.Latency[latencySome].Settle.P99),
		atMost("request to settled, p99 at 400/s over Stripe's 200 ms", 1.2, over(r.Latency[latencySlow].Settle.P99, milliseconds(slowStripe))),
		atLeast("settled payments/s with Stripe at 200 ms over at zero", 0.9, over(r.Latency[latencySlowFull].PerSecond, middle.PerSecond)),
		atMost("commits per settled payment (64 clients)", 0.4, middle.Commits),
		atMost("idle service and PostgreSQL, percent of a core", 1, r.Idle.App+r.Idle.Postgres),
		atMost("the service's memory at full load, MiB", 64, float64(middle.PeakRSS)/(1<<20)),
	}
}

func atLeast(name string, goal, value float64) Goal {
	return Goal{Name: name, AtLeast: true, Goal: goal, Value: value, Met: value >= goal}
}

// atMost is not met by 0, which means that the figure was not measured.
func atMost(name string, goal, value float64) Goal {
	return Goal{Name: name, Goal: goal, Value: value, Met: value > 0 && value <= goal}
}
