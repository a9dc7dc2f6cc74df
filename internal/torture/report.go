package torture

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fundrail/fundrail/internal/wallet"
)

// Report is the result of a storm.
type Report struct {
	Seed       uint64 `json:"seed"`
	Plan       string `json:"plan"` // the plan's digest
	Break      string `json:"break,omitempty"`
	Duration   string `json:"duration"`
	Processes  int    `json:"processes"`
	Drain      string `json:"drain"`
	DrainLimit string `json:"drain_limit"`
	// Done counts the storm's actions, and Faults the hits of the simulator's
	// rules.
	Done   []Count `json:"done"`
	Faults []Count `json:"faults"`
	// Payments counts the payments by outcome.
	Payments []Count `json:"payments"`
	Charged  int     `json:"charged"`  // succeeded at Stripe
	Credited int     `json:"credited"` // settlements
	Lost     int     `json:"lost"`
	Doubled  int     `json:"doubled"`
	// Answers is the number of accepted requests that were repeated.
	Answers int `json:"answers"`
	// Refused is the number of fund requests that were answered with an error, and
	// Effects the number of those that had an effect.
	Refused int `json:"refused"`
	Effects int `json:"effects"`
	// NeverStored is the number of answers to writes in doubt that a process could not
	// carry through, because it was ended or another request used the key.
	NeverStored int `json:"never_stored"`
	// LogLines is the number of lines that were searched for secrets.
	LogLines int `json:"log_lines"`
	// Deliveries counts the deliveries to merchants.
	Deliveries Deliveries `json:"deliveries"`
	Findings   []Finding  `json:"findings"`
}

// Deliveries counts the events for merchants and how they were delivered.
type Deliveries struct {
	Events   int `json:"events"`
	Received int `json:"received"` // accepted deliveries, including repetitions
	// Lost counts the events that did not reach their merchant. OutOfOrder counts
	// those that arrived before an earlier event of the same object.
	Lost       int `json:"lost"`
	OutOfOrder int `json:"out_of_order"`
}

// Count is a named number.
type Count struct {
	Name  string `json:"name"`
	Count int64  `json:"count"`
}

// Finding is a violation of a check.
type Finding struct {
	Check  string `json:"check"`
	Detail string `json:"detail"`
}

// Held reports whether all checks passed.
func (r Report) Held() bool { return len(r.Findings) == 0 }

func (r *Report) find(check, detail string) {
	r.Findings = append(r.Findings, Finding{check, detail})
}

// findAll records a list of findings in sorted order, so that reports are
// comparable.
func (r *Report) findAll(check string, list []string) {
	slices.Sort(list)
	for _, detail := range list {
		r.find(check, detail)
	}
}

func (s *storm) newReport(took time.Duration) Report {
	r := Report{
		Seed: s.Seed, Plan: s.plan.Digest(), Break: string(s.Break), Duration: s.Duration.String(), Processes: s.Processes,
		Drain: took.Round(100 * time.Millisecond).String(), DrainLimit: s.Drain.String(), Findings: []Finding{},
	}
	c, d := &s.counts, s.sim.Deliveries()
	var revived int64
	for _, p := range s.processes {
		revived += p.revived.Load()
	}
	r.Done = []Count{
		{"processes killed (SIGKILL)", c.killed.Load()},
		{"processes ended (SIGTERM)", c.termed.Load()},
		{"of those, killed after 15 s", c.stubborn.Load()},
		{"starts that failed without the database, and were repeated", revived},
		{"processes frozen until their jobs counted as lost", c.frozen.Load()},
		{"database connections terminated", c.terminated.Load()},
		{"database server restarts", c.restarts.Load()},
		{"requests of clients", c.requests.Load()},
		{"connections broken off by clients", c.hungUp.Load()},
		{"answers to clients lost between", s.balancer.broken.Load()},
		{"spells in which Stripe was away", c.outages.Load()},
		{"spells in which no webhook came", c.silences.Load()},
		{"webhooks delivered", d.Confirmed},
		{"webhook attempts refused or lost", d.Failed},
		{"webhooks dropped", d.Dropped},
		{"events delivered again later", c.deliveredAgain.Load()},
		{"events forged with the right secret", c.forged.Load()},
		{"refunds at Stripe", c.refunded.Load()},
		{"of those, failed afterwards", c.refundsFailed.Load()},
		{"disputes and inquiries", c.disputed.Load()},
		{"of those, won", c.disputesWon.Load()},
		{"of those, lost", c.disputesLost.Load()},
		{"idempotency keys forgotten by Stripe", c.keysForgotten.Load()},
	}
	for _, name := range slices.Sorted(maps.Keys(s.hits)) {
		r.Faults = append(r.Faults, Count{name, s.hits[name]})
	}
	return r
}

// count counts the payments by outcome.
func (r *Report) count(b books) {
	byStatus := map[wallet.PaymentStatus]int64{}
	waiting := b.waiting()
	const stored, late = "waits for a person: Stripe stored a failure and has no intent", "waits for a person: not charged while its key was good"
	reasons := map[string]int64{}
	for _, p := range b.payments {
		switch {
		case waiting[p.ID] && p.Status == wallet.PaymentCreated:
			reasons[late]++
		case waiting[p.ID]:
			reasons[stored]++
		default:
			byStatus[p.Status]++
		}
	}
	for _, status := range wallet.PaymentStatuses {
		if n := byStatus[status]; n > 0 {
			r.Payments = append(r.Payments, Count{string(status), n})
		}
	}
	for _, reason := range []string{stored, late} {
		if n := reasons[reason]; n > 0 {
			r.Payments = append(r.Payments, Count{reason, n})
		}
	}
	r.Charged, r.Lost, r.Doubled = len(b.paid), len(b.lost()), len(b.doubled())+len(b.chargedTwice())
	for _, credits := range b.credits {
		r.Credited += len(credits)
	}
}

// Print writes the report as text.
func (r Report) Print(w io.Writer) error {
	var t strings.Builder
	section := func(title string, list []Count) {
		fmt.Fprintf(&t, "\n%s\n", title)
		for _, c := range list {
			fmt.Fprintf(&t, "  %-66s %8d\n", c.Name, c.Count)
		}
	}
	section("The storm: "+r.Duration+" on "+plural(r.Processes, "process", "processes"), r.Done)
	section("What went wrong at Stripe, on the way from it, and on the line to PostgreSQL", r.Faults)
	section("Payments", r.Payments)
	section("Books", []Count{
		{"charges at Stripe", int64(r.Charged)},
		{"credits to wallets", int64(r.Credited)},
		{"lost", int64(r.Lost)},
		{"doubled", int64(r.Doubled)},
		{"accepted requests asked for once more", int64(r.Answers)},
		{"requests answered with an error", int64(r.Refused)},
		{"errors with an effect", int64(r.Effects)},
		{"answers in doubt that an ended process never stored", int64(r.NeverStored)},
		{"lines of logs searched for secrets", int64(r.LogLines)},
	})
	section("What merchants were told", []Count{
		{"events", int64(r.Deliveries.Events)},
		{"received, once at least", int64(r.Deliveries.Received)},
		{"lost", int64(r.Deliveries.Lost)},
		{"out of order", int64(r.Deliveries.OutOfOrder)},
	})
	fmt.Fprintf(&t, "\nDrained in %s of %s.\n", r.Drain, r.DrainLimit)
	const most = 20
	for i, f := range r.Findings {
		if i == most {
			fmt.Fprintf(&t, "  … and %d more\n", len(r.Findings)-most)
			break
		}
		fmt.Fprintf(&t, "  %s: %s\n", f.Check, f.Detail)
	}
	fmt.Fprintf(&t, "\n%s\n", r.verdict())
	_, err := io.WriteString(w, t.String())
	return err
}

func (r Report) verdict() string {
	again := fmt.Sprintf("--seed %d", r.Seed)
	if r.Held() {
		return "HELD: each charge is credited once, and each credit stands on one charge; merchants were told of everything, in order. " + again + " plays it again."
	}
	return fmt.Sprintf("BROKEN: %s. %s plays it again.", plural(len(r.Findings), "finding", "findings"), again)
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// statusOf returns the status and the balance in an answer.
func statusOf(a answer) (result struct{ status, balance string }) {
	var s answerBody
	if json.Unmarshal(a.body, &s) != nil {
		return result
	}
	result.balance = s.Balance
	if len(s.Transactions) > 0 {
		result.status = s.Transactions[0].Status
		return result
	}
	word, ok := s.Status.(string)
	if !ok {
		word = "declined"
	}
	result.status = word
	return result
}
