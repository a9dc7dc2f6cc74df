package dashboard

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fundrail/fundrail/internal/postgres/views"
	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/wallet"
)

// moment is an entry of a payment's timeline.
type moment struct {
	At    time.Time
	Kind  string // shown as a tag
	Title string
	Text  string
	Tone  string // good, bad, warn, info or idle
	Link  string
	Facts []fact
	// Gap is the time since the previous entry, zero if it is less than gapFrom.
	Gap time.Duration
	// After is the time since the request.
	After time.Duration
	// Ahead reports whether the entry is in the future.
	Ahead bool
	// rank orders entries of the same time.
	rank int
}

// fact is a detail of an entry.
type fact struct{ Name, Value, Link string }

// gapFrom is the shortest time without entries that is shown as a gap.
const gapFrom = 5 * time.Second

// timeline returns everything that is known about a payment, in chronological order.
func (r *request) timeline(s views.PaymentStory) []moment {
	var list []moment
	list = append(list, r.requestMoments(s)...)
	list = append(list, r.jobMoments(s)...)
	list = append(list, r.moveMoments(s)...)
	list = append(list, r.eventMoments(s)...)
	list = append(list, r.transferMoments(s)...)
	list = append(list, r.otherMoments(s)...)
	list = append(list, r.moneyBackMoments(s)...)
	list = append(list, deliveryMoments(s)...)
	slices.SortStableFunc(list, func(a, b moment) int {
		if c := a.At.Compare(b.At); c != 0 {
			return c
		}
		return a.rank - b.rank
	})
	for i := 1; i < len(list); i++ {
		list[i].After = list[i].At.Sub(s.Payment.CreatedAt)
		if gap := list[i].At.Sub(list[i-1].At); gap >= gapFrom {
			list[i].Gap = gap
		}
	}
	return append(list, r.aheadMoments(s)...)
}

// The order of entries of the same time: causes come before effects.
const (
	rankRequest = iota
	rankJob
	rankCall
	rankEvent
	rankMove
	rankTransfer
	rankOther
)

func (r *request) requestMoments(s views.PaymentStory) []moment {
	m := moment{
		At: s.Payment.CreatedAt, Kind: "request", Tone: "info", Title: "Request accepted", rank: rankRequest,
		Text: money(s.Payment.Amount, s.Payment.Currency) + " for " + s.OrganizationName,
	}
	if s.Payment.OffSession {
		m.Text += ", without the cardholder present"
	}
	for _, q := range s.Requests {
		m.Facts = append(m.Facts, fact{Name: "Operation", Value: q.Operation}, fact{Name: "Idempotency-Key", Value: r.private(q.Key)},
			fact{Name: "Answer", Value: answerText(q, s)})
	}
	if s.Payment.RequestID != "" {
		m.Facts = append(m.Facts, fact{Name: "Request", Value: s.Payment.RequestID})
	}
	m.Facts = append(m.Facts, fact{Name: "Caller", Value: "a key of " + s.OrganizationName})
	if len(s.Requests) == 0 {
		m.Facts = append(m.Facts, fact{Name: "Idempotency-Key", Value: "none, or deleted after 24 hours"})
	}
	return []moment{m}
}

// answerText returns the answer to a request. It follows from the time until which the
// request waited and the first status after processing. A caller that disconnected earlier
// got no answer.
func answerText(q views.RequestRow, s views.PaymentStory) string {
	for _, m := range s.Moves {
		if m.To == wallet.PaymentCreated || m.To == wallet.PaymentProcessing {
			continue
		}
		if m.At.After(q.WaitUntil) {
			break
		}
		return strings.ToLower(label(m.To)) + " after " + duration(m.At.Sub(q.CreatedAt))
	}
	if waits := q.WaitUntil.Sub(q.CreatedAt); waits > 0 {
		return "processing after " + duration(waits)
	}
	return "pending at once"
}

// jobMoments returns an entry for each failed attempt and for the last attempt of each job.
func (r *request) jobMoments(s views.PaymentStory) []moment {
	var list []moment
	for _, j := range s.Jobs {
		link := r.path("/jobs/" + strconv.FormatInt(j.ID, 10))
		failures := j.Failures()
		for _, f := range failures {
			list = append(list, moment{
				At: f.At, Kind: "job", Tone: "warn", rank: rankJob, Link: link,
				Title: fmt.Sprintf("%s, attempt %d failed", label(j.Kind), f.Attempt), Text: f.Error,
			})
		}
		m := moment{
			Kind: "job", Tone: tones[j.State], rank: rankJob, Link: link, Title: label(j.Kind),
			Facts: []fact{{Name: "Job", Value: strconv.FormatInt(j.ID, 10), Link: link}, {Name: "Queue", Value: j.Queue}},
		}
		if j.Attempt > 0 {
			m.Facts = append(m.Facts, fact{Name: "Attempt", Value: fmt.Sprintf("%d of %d", j.Attempt, j.MaxAttempts)})
		}
		switch {
		case j.State == "completed" && j.AttemptedAt != nil:
			m.At, m.Text = *j.AttemptedAt, "done in "+duration(j.FinalizedAt.Sub(*j.AttemptedAt))
		case j.State == "running" && j.AttemptedAt != nil:
			m.At, m.Text = *j.AttemptedAt, "running for "+duration(r.now.Sub(*j.AttemptedAt))
		case j.FinalizedAt != nil:
			m.At, m.Text = *j.FinalizedAt, j.State
		default:
			continue // aheadMoments returns its entry
		}
		list = append(list, m)
	}
	return list
}

// moveMoments returns an entry for each move, after the entry of the call to Stripe that
// caused it.
func (r *request) moveMoments(s views.PaymentStory) []moment {
	var list []moment
	for _, m := range s.Moves {
		x := moment{
			At: m.At, Kind: "move", Tone: tones[string(m.To)], rank: rankMove,
			Title: label(m.To), Text: moveText(m, s), Facts: []fact{r.causeFact(m.CauseKind, m.CauseID)},
		}
		switch m.To {
		case wallet.PaymentRequiresAction:
			x.Kind, x.Title = "challenge", "3-D Secure challenge"
			if s.Payment.ActionDeadlineAt != nil {
				x.Facts = append(x.Facts, fact{Name: "Until", Value: s.Payment.ActionDeadlineAt.UTC().Format("02 Jan 15:04 UTC")})
			}
		case wallet.PaymentSucceeded:
			if s.Payment.StripeChargeID != "" {
				x.Facts = append(x.Facts, fact{
					Name: "Charge", Value: s.Payment.StripeChargeID, Link: r.stripeURL("payments", s.Payment.StripePaymentIntentID),
				})
			}
		case wallet.PaymentFailed, wallet.PaymentCanceled, wallet.PaymentCreated, wallet.PaymentProcessing:
		}
		if call, ok := r.callMoment(m, s); ok {
			list = append(list, call)
		}
		list = append(list, x)
	}
	return list
}

// callMoment returns an entry for the call to Stripe that caused a move, if one is known.
// Calls that did not move the payment appear only as errors of their jobs.
func (r *request) callMoment(m views.MoveRow, s views.PaymentStory) (moment, bool) {
	charges := m.From == wallet.PaymentCreated && m.CauseKind == wallet.CauseJob && s.Payment.StripePaymentIntentID != ""
	if m.RequestID == "" && !charges {
		return moment{}, false
	}
	c := moment{
		At: m.At, Kind: "stripe_call", Tone: tones[string(m.To)], rank: rankCall, Title: "Status requested from Stripe",
		Text: "Answer: " + strings.ToLower(label(m.To)),
	}
	if m.RequestID != "" {
		c.Facts = append(c.Facts, fact{Name: "Request", Value: m.RequestID, Link: r.stripeURL("logs", m.RequestID)})
	}
	if charges {
		c.Title = "Charge requested from Stripe"
		c.Facts = append(c.Facts, fact{Name: "Idempotency-Key", Value: stripeapi.ChargeKey(s.Payment.ID, 1)})
	}
	return c, true
}

func moveText(m views.MoveRow, s views.PaymentStory) string {
	switch m.To {
	case wallet.PaymentSucceeded:
		return "Stripe charged " + money(s.Payment.AmountReceived, s.Payment.Currency)
	case wallet.PaymentFailed, wallet.PaymentCanceled:
		text := s.Payment.Failure.Message
		if s.Payment.Failure.DeclineCode != "" {
			text += " (" + s.Payment.Failure.Code + ", " + s.Payment.Failure.DeclineCode + ")"
		} else if s.Payment.Failure.Code != "" {
			text += " (" + s.Payment.Failure.Code + ")"
		}
		return strings.TrimSpace(text)
	case wallet.PaymentRequiresAction:
		return "The cardholder must confirm the payment at the bank"
	case wallet.PaymentProcessing:
		return "Stripe has not decided yet, or its answer was lost"
	case wallet.PaymentCreated:
		return ""
	default:
		return ""
	}
}

func (r *request) causeFact(kind wallet.CauseKind, id string) fact {
	f := fact{Name: "By", Value: string(kind) + " " + id}
	switch kind {
	case wallet.CauseJob:
		f.Link = r.path("/jobs/" + id)
	case wallet.CauseEvent:
		f.Link = r.path("/events/" + id)
	case wallet.CauseOperator, wallet.CauseReconciler, wallet.CauseRequest:
	}
	return f
}

func (r *request) eventMoments(s views.PaymentStory) []moment {
	var list []moment
	for _, e := range s.Events {
		link := r.path("/events/" + e.ID)
		m := moment{
			At: e.ReceivedAt, Kind: "event", Tone: "info", rank: rankEvent, Title: e.Type, Link: link,
			Text:  sourceText(e.Source),
			Facts: []fact{{Name: "Event", Value: e.ID, Link: link}, {Name: "Created at Stripe", Value: e.CreatedAt.UTC().Format("15:04:05")}},
		}
		if e.Deliveries > 1 {
			m.Facts = append(m.Facts, fact{Name: "Deliveries", Value: strconv.Itoa(e.Deliveries)})
		}
		// An event that is handled within a second of its receipt gets one entry, not two.
		const atOnce = time.Second
		switch {
		case e.HandledAt == nil:
			m.Tone = "warn"
			m.Text += ", not handled yet"
		case e.HandledAt.Sub(e.ReceivedAt) < atOnce:
			m.Tone = tones[string(e.Status)]
			m.Text += ", " + handledText(e)
			m.Facts = append(m.Facts, r.handlerFacts(e)...)
		default:
			list = append(list, moment{
				At: *e.HandledAt, Kind: "event", Tone: tones[string(e.Status)], rank: rankOther, Link: link,
				Title: e.Type + " " + string(e.Status), Text: handledText(e), Facts: r.handlerFacts(e),
			})
		}
		list = append(list, m)
	}
	return list
}

// handlerFacts returns a link to the job that handled an event, if a job did.
func (r *request) handlerFacts(e views.EventRow) []fact {
	job, isJob := strings.CutPrefix(e.HandledBy, "job ")
	if !isJob {
		return nil
	}
	return []fact{{Name: "Handled by job", Value: job, Link: r.path("/jobs/" + job)}}
}

func sourceText(source string) string {
	if source == "sweep" {
		return "Found in Stripe's list of events; no webhook was received"
	}
	return "Webhook received, signature verified"
}

func handledText(e views.EventRow) string {
	text := string(e.Status)
	if e.HandledBy != "" && !strings.HasPrefix(e.HandledBy, "job ") { // handlerFacts links to a job
		text += " by " + e.HandledBy
	}
	if e.Note != "" {
		text += ": " + e.Note
	}
	return text
}

func (r *request) transferMoments(s views.PaymentStory) []moment {
	var list []moment
	for _, t := range s.Transfers {
		m := moment{
			At: t.CreatedAt, Kind: "ledger", Tone: "good", rank: rankTransfer, Title: label(t.Kind) + " booked",
			Text:  money(t.Amount, t.Currency) + " from " + label(t.DebitKind) + " to " + label(t.CreditKind),
			Facts: []fact{{Name: "Transfer", Value: strconv.FormatInt(t.ID, 10), Link: r.path("/wallets/" + s.Payment.WalletID.String() + "?view=ledger")}},
		}
		if s.Payment.BalanceAfter != nil && t.Kind == "settlement" {
			m.Facts = append(m.Facts, fact{Name: "Balance after", Value: money(*s.Payment.BalanceAfter, s.Payment.Currency)})
		}
		if t.DebitKind == "wallet" {
			m.Tone = "warn"
		}
		list = append(list, m)
	}
	return list
}

func (r *request) otherMoments(s views.PaymentStory) []moment {
	var list []moment
	for _, x := range s.Discrepancies {
		list = append(list, moment{
			At: x.FoundAt, Kind: "discrepancy", Tone: "bad", rank: rankOther, Title: label(x.Kind),
			Text: "Expected " + money(x.ExpectedAmount, x.ExpectedCurrency) + ", Stripe says " +
				money(x.ReceivedAmount, x.ReceivedCurrency) + " of " + x.IntentID,
			Facts: []fact{r.causeFact(x.CauseKind, x.CauseID)},
		})
	}
	if s.ReturnedAt != nil {
		list = append(list, moment{
			At: *s.ReturnedAt, Kind: "challenge", Tone: "info", rank: rankOther, Title: "Cardholder returned",
			Text: "The browser came back from the bank. This does not prove that the challenge succeeded",
		})
	}
	for _, a := range s.Actions {
		link := r.path("/audit/" + strconv.FormatInt(a.ID, 10))
		list = append(list, moment{
			At: a.At, Kind: "operator", Tone: "info", rank: rankOther, Title: label(actionName(a.Action)), Link: link,
			Text: "“" + a.Reason + "”", Facts: []fact{{Name: "By", Value: r.private(a.Actor), Link: link}},
		})
	}
	return list
}

// moneyBackMoments returns an entry for the beginning of each refund and dispute, with its
// present status. Transfers have entries of their own.
func (r *request) moneyBackMoments(s views.PaymentStory) []moment {
	var list []moment
	// Stripe's timestamps have whole seconds, so a refund may seem to precede the charge.
	after := func(at time.Time) time.Time {
		if s.SucceededAt != nil && at.Before(*s.SucceededAt) {
			return *s.SucceededAt
		}
		return at
	}
	for _, x := range s.Refunds {
		m := moment{
			At: after(x.CreatedAt), Kind: "refund", Tone: tones[string(x.Status)], rank: rankOther, Title: "Refund " + strings.ToLower(label(x.Status)),
			Text: money(x.Amount, x.Currency) + " back to the card, " + money(x.Debited, x.Currency) + " taken from the wallet",
		}
		if x.StripeRefundID != "" {
			m.Facts = append(m.Facts, fact{Name: "Refund", Value: x.StripeRefundID, Link: r.stripeURL("refunds", x.StripeRefundID)})
		}
		if x.FailureReason != "" {
			m.Facts = append(m.Facts, fact{Name: "Failure reason", Value: x.FailureReason})
		}
		list = append(list, m)
	}
	for _, x := range s.Disputes {
		list = append(list, moment{
			At: after(x.CreatedAt), Kind: "dispute", Tone: "bad", rank: rankOther, Title: "Dispute: " + strings.ToLower(label(x.Status)),
			Text: money(x.Amount, x.Currency) + " disputed, " + money(x.Debited, x.Currency) + " taken from the wallet",
			Facts: []fact{
				{Name: "Dispute", Value: x.StripeDisputeID, Link: r.stripeURL("disputes", x.StripeDisputeID)},
				{Name: "Reason", Value: x.Reason},
			},
		})
	}
	return list
}

// deliveryMoments returns an entry for each delivery to the merchant.
func deliveryMoments(s views.PaymentStory) []moment {
	var list []moment
	for _, d := range s.Deliveries {
		m := moment{
			At: d.CreatedAt, Kind: "delivery", Tone: tones[string(d.Status)], rank: rankOther, Title: d.Type + " to the merchant",
			Text: "to " + d.Endpoint + ", " + string(d.Status), Facts: []fact{{Name: "Attempts", Value: strconv.Itoa(d.Attempts)}},
		}
		if d.FinishedAt != nil {
			m.Text += " after " + duration(d.FinishedAt.Sub(d.CreatedAt))
		}
		if d.ResponseStatus != 0 {
			m.Facts = append(m.Facts, fact{Name: "Last answer", Value: strconv.Itoa(d.ResponseStatus)})
		}
		if d.Error != "" {
			m.Facts = append(m.Facts, fact{Name: "Last error", Value: d.Error})
		}
		list = append(list, m)
	}
	return list
}

// aheadMoments returns entries for what is scheduled: jobs, the next check and the
// challenge's deadline.
func (r *request) aheadMoments(s views.PaymentStory) []moment {
	var list []moment
	for _, j := range s.Jobs {
		if j.State != "available" && j.State != "retryable" && j.State != "scheduled" {
			continue
		}
		link := r.path("/jobs/" + strconv.FormatInt(j.ID, 10))
		list = append(list, moment{
			At: j.ScheduledAt, Kind: "job", Tone: "idle", Title: label(j.Kind), Link: link, Ahead: true,
			Text: fmt.Sprintf("attempt %d of %d", j.Attempt+1, j.MaxAttempts), Facts: []fact{{Name: "Job", Value: strconv.FormatInt(j.ID, 10), Link: link}},
		})
	}
	p := s.Payment
	if p.NextCheckAt != nil {
		list = append(list, moment{
			At: *p.NextCheckAt, Kind: "job", Tone: "idle", Title: "Next check", Ahead: true, Text: "The payment is compared with Stripe",
		})
	}
	if p.Status == wallet.PaymentRequiresAction && p.ActionDeadlineAt != nil {
		list = append(list, moment{
			At: *p.ActionDeadlineAt, Kind: "challenge", Tone: "idle", Title: "Challenge deadline", Ahead: true,
			Text: "The payment is canceled unless the cardholder completes the challenge",
		})
	}
	slices.SortStableFunc(list, func(a, b moment) int { return a.At.Compare(b.At) })
	return list
}

func actionName(action string) string { return strings.ReplaceAll(action, ".", " ") }
