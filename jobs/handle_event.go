package jobs

import (
	"context"

	"github.com/riverqueue/river"

	"github.com/fundrail/fundrail/internal/breakpoint"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// HandleEventArgs names a stored Stripe event that is to be handled.
type HandleEventArgs struct {
	EventID string `json:"event_id"`
}

// Kind is stored with every job. Renaming it strands the jobs in flight.
func (HandleEventArgs) Kind() string { return "handle_event" }

// InsertOpts puts the job on the queue of settlements.
func (HandleEventArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{MaxAttempts: 12, Queue: QueueSettle}
}

// HandleEventWorker handles a stored Stripe event. It never trusts the content of an
// event. If an event could move money, the worker retrieves the object from Stripe and
// applies that answer. So a repeated, late, reordered or forged event does no harm.
type HandleEventWorker struct {
	river.WorkerDefaults[HandleEventArgs]
	Engine *Engine
}

// Work brings the event's payment to the state that Stripe reports.
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
		return nil // another job has handled it
	}
	ctx, end := e.traceEvent(ctx, "handle event", event.Event, event.Payment)
	status, note, err := e.handleEvent(ctx, event)
	end(err)
	if err != nil {
		return err
	}
	_, err = e.finishes.Do(ctx, postgres.FinishedEvent{
		ID: event.ID, Status: status, By: "job " + jobCause(job.JobRow).ID, Note: note, Now: e.Now(),
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

// examination is the result of examine.
type examination struct {
	// status and note are stored with the event when it has been handled.
	status postgres.EventStatus
	note   string
	// payment is nil when the event belongs to no stored payment.
	payment *wallet.Payment
	// outcome is Stripe's current answer about the intent. It is nil when nothing follows
	// from the event.
	outcome *wallet.Outcome
}

// examine retrieves the event's intent if it can change the payment. It changes
// nothing itself.
func (e *Engine) examine(ctx context.Context, event postgres.FoundEvent) (examination, error) {
	if event.Payment == nil {
		return examination{status: postgres.EventIgnored, note: noteNoPayment}, nil
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
	case o.Kind == wallet.OutcomeUnknown:
		return x, &UnknownOutcomeError{Reason: o.Reason} // of the retrieval, not of the charge
	case unlinked(p, o):
		x.status, x.note = postgres.EventIgnored, "the intent does not name the payment"
	default:
		x.note, x.outcome = "stripe says "+string(o.Kind), &o
	}
	return x, nil
}

// Notes that are stored with handled events.
const (
	noteAsStripeSays = "as Stripe says"
	noteNoPayment    = "no payment of ours"
	noteOtherIntent  = "the payment was credited for another intent"
)

// unlinked reports whether nothing links an intent to a payment: the payment's row has
// no intent, and Stripe's answer does not name the payment.
func unlinked(p wallet.Payment, o wallet.Outcome) bool {
	return p.StripePaymentIntentID == "" && o.PaymentID != p.ID && o.Kind != wallet.OutcomeUnavailable
}

// canChange reports whether an event of a type can change a payment in a state.
func canChange(eventType string, s wallet.PaymentStatus) bool {
	if s == wallet.PaymentFailed || s == wallet.PaymentCanceled {
		return eventType == "payment_intent.succeeded"
	}
	return s.Open()
}
