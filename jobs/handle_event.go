package jobs

import (
	"context"
	"strconv"

	"github.com/riverqueue/river"

	"github.com/fundrail/fundrail/internal/breakpoint"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// HandleEventArgs asks for a stored Stripe event to be acted on.
type HandleEventArgs struct {
	EventID string `json:"event_id"`
}

// Kind is stored with every job. Renaming it strands the jobs in flight.
func (HandleEventArgs) Kind() string { return "handle_event" }

// InsertOpts puts the job on the queue of settlements.
func (HandleEventArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{MaxAttempts: 12, Queue: QueueSettle}
}

// HandleEventWorker acts on a stored Stripe event. The event is a hint, never
// money: where it could move some, the worker asks Stripe how things stand now
// and applies that. So an event may come twice, late, out of order or from
// somebody who stole the secret.
type HandleEventWorker struct {
	river.WorkerDefaults[HandleEventArgs]
	Engine *Engine
}

// Work finds the payment that the event is about, and brings it to where Stripe
// says it stands.
func (w *HandleEventWorker) Work(ctx context.Context, job *river.Job[HandleEventArgs]) error {
	e := w.Engine
	event, err := e.found.Do(ctx, job.Args.EventID)
	if err != nil {
		return err
	}
	if !event.Found {
		return river.JobCancel(&wallet.Error{Code: wallet.CodeNotFound, Message: "Event not found."})
	}
	breakpoint.Reach(breakpoint.EventRead)
	if event.Status != postgres.EventPending && !breakpoint.Broken(breakpoint.WebhookDedupe) {
		return nil // another delivery's job was quicker
	}
	ctx, end := e.traceEvent(ctx, "handle event", event.Event, event.Payment)
	status, note, err := e.handleEvent(ctx, event)
	end(err)
	if err != nil {
		return err
	}
	_, err = e.finishes.Do(ctx, postgres.FinishedEvent{
		ID: event.ID, Status: status, By: "job " + strconv.FormatInt(job.ID, 10), Note: note, Now: e.Now(),
	})
	breakpoint.Reach(breakpoint.EventFinished)
	return err
}

func (e *Engine) handleEvent(ctx context.Context, event postgres.FoundEvent) (postgres.EventStatus, string, error) {
	if event.Payment != nil {
		ctx = onBehalf(ctx, *event.Payment)
	}
	if isMoneyBack(event.Type) {
		return e.handleMoneyBack(ctx, event.Event)
	}
	x, err := e.examine(ctx, event)
	if err != nil || x.outcome == nil {
		return x.status, x.note, err
	}
	err = e.conclude(ctx, *x.payment, *x.outcome, wallet.Cause{Kind: wallet.CauseEvent, ID: event.ID})
	return x.status, x.note, err
}

// examination is what an event turns out to be about.
type examination struct {
	// status and note are what the event is finished with.
	status postgres.EventStatus
	note   string
	// payment is nil when there is none of ours.
	payment *wallet.Payment
	// outcome is what Stripe says of the payment, nil when the event asks for nothing.
	outcome *wallet.Outcome
}

// examine asks Stripe how the payment stands that an event is about, if that can be
// news. It changes nothing.
func (e *Engine) examine(ctx context.Context, event postgres.FoundEvent) (examination, error) {
	if event.Payment == nil {
		return examination{status: postgres.EventIgnored, note: "no payment of ours"}, nil
	}
	p := *event.Payment
	x := examination{status: postgres.EventHandled, payment: &p}
	if !canChange(event.Type, p.Status) {
		x.note = "the payment was " + string(p.Status) + " already"
		return x, nil
	}
	stripe, err := e.stripe(p.Mode)
	if err != nil {
		return x, err
	}
	o := stripe.Retrieve(ctx, event.StripePaymentIntentID)
	breakpoint.Reach(breakpoint.EventAnswered)
	if breakpoint.Broken(breakpoint.EventAsMoney) && event.Type == "payment_intent.succeeded" {
		o = wallet.Outcome{
			Kind: wallet.OutcomeSucceeded, IntentID: event.StripePaymentIntentID, PaymentID: p.ID,
			AmountReceived: p.Amount, Currency: p.Currency,
		}
	}
	switch {
	case o.Kind == wallet.OutcomeMissing:
		// Stripe does not know the intent, whatever the event says.
		x.status, x.note = postgres.EventIgnored, "stripe does not confirm it: "+o.Reason
	case p.StripePaymentIntentID == "" && o.PaymentID != p.ID && o.Kind != wallet.OutcomeUnavailable && o.Kind != wallet.OutcomeUnknown:
		x.status, x.note = postgres.EventIgnored, "the intent does not name the payment"
	case o.Kind == wallet.OutcomeUnknown:
		return x, &UnknownOutcomeError{Reason: o.Reason} // of the look, not of the charge
	default:
		x.note, x.outcome = "stripe says "+string(o.Kind), &o
	}
	return x, nil
}

// canChange tells whether an event of a type can be news for a payment that
// stands where it stands. Only then is Stripe asked.
func canChange(eventType string, s wallet.PaymentStatus) bool {
	if s == wallet.PaymentFailed || s == wallet.PaymentCanceled {
		return eventType == "payment_intent.succeeded"
	}
	return s.Open()
}
