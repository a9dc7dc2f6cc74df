package jobs_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"time"

	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/jobs"
)

// actor is a job, a delivery or an operator that works on a payment. It is parked before
// its request reaches Stripe and before the answer reaches it. Other actors may run
// meanwhile.
type actor struct {
	name   string
	resume chan bool // whether Stripe's answer gets through
	parked chan bool // false once it has ended
	err    error
	// leaving reports whether Stripe has executed the request.
	leaving bool
}

type actorKey struct{}

// begin starts an actor and returns when the actor is parked or has ended. It reports
// whether the actor is parked.
func begin(name string, work func(ctx context.Context) error) (*actor, bool) {
	a := &actor{name: name, parked: make(chan bool), resume: make(chan bool)}
	go func() {
		a.err = work(context.WithValue(context.Background(), actorKey{}, a))
		a.parked <- false
	}()
	return a, <-a.parked
}

// step lets a parked actor continue, and reports whether it is parked again.
func (a *actor) step(answered bool) bool {
	a.resume <- answered
	return <-a.parked
}

// park waits for step. It reports whether the message gets through.
func (a *actor) park(leaving bool) bool {
	a.leaving = leaving
	a.parked <- true
	return <-a.resume
}

// scripted is a Stripe with a few intents. It needs no lock, because only one actor runs
// at a time.
type scripted struct {
	jobs.Stripe // nil: the other methods are not called

	cards   map[wallet.ID]wallet.OutcomeKind // the outcome of a charge, by payment
	intents map[wallet.ID]*scriptedIntent
	events  []stripeapi.Event
	hidden  bool // lists are empty
	calm    bool // no actor is parked, and no message is lost
}

type scriptedIntent struct {
	id        string
	paymentID wallet.ID
	amount    int64
	state     wallet.OutcomeKind
	charges   int
}

func newScripted() *scripted {
	return &scripted{cards: map[wallet.ID]wallet.OutcomeKind{}, intents: map[wallet.ID]*scriptedIntent{}}
}

// exchange is one call: the request, its effect, and the answer. The request and the
// answer may be lost.
func (s *scripted) exchange(ctx context.Context, effect func() wallet.Outcome) wallet.Outcome {
	a, _ := ctx.Value(actorKey{}).(*actor)
	if s.calm || a == nil {
		return effect()
	}
	if !a.park(false) {
		return wallet.Outcome{Kind: wallet.OutcomeUnavailable, Reason: "request lost"}
	}
	o := effect()
	if !a.park(true) {
		return wallet.Outcome{Kind: wallet.OutcomeUnknown, Reason: "answer lost"}
	}
	return o
}

// Breaker returns none, so calls are never stopped.
func (s *scripted) Breaker() *stripeapi.Breaker { return nil }

func (s *scripted) Charge(ctx context.Context, r stripeapi.ChargeRequest) wallet.Outcome {
	return s.exchange(ctx, func() wallet.Outcome {
		in, ok := s.intents[r.PaymentID]
		if !ok { // the key is new
			in = &scriptedIntent{id: "pi_" + r.PaymentID.String(), paymentID: r.PaymentID, amount: r.Amount, charges: 1}
			s.intents[r.PaymentID] = in
			s.move(in, s.cards[r.PaymentID])
		}
		return in.outcome()
	})
}

func (s *scripted) Retrieve(ctx context.Context, intentID string) wallet.Outcome {
	return s.exchange(ctx, func() wallet.Outcome { return s.byID(intentID).outcome() })
}

func (s *scripted) Cancel(ctx context.Context, intentID string, _ stripeapi.CancelReason) wallet.Outcome {
	return s.exchange(ctx, func() wallet.Outcome {
		in := s.byID(intentID)
		if in.state != wallet.OutcomeSucceeded && in.state != wallet.OutcomeCanceled {
			s.move(in, wallet.OutcomeCanceled)
		}
		return in.outcome()
	})
}

func (s *scripted) FindIntent(ctx context.Context, _ string, paymentID wallet.ID, _ time.Time) (o wallet.Outcome, found bool, err error) {
	o = s.exchange(ctx, func() wallet.Outcome {
		if in, ok := s.intents[paymentID]; ok && !s.hidden {
			found = true
			return in.outcome()
		}
		return wallet.Outcome{}
	})
	if o.Kind == wallet.OutcomeUnknown || o.Kind == wallet.OutcomeUnavailable {
		return wallet.Outcome{}, false, fmt.Errorf("list intents: %s", o.Reason)
	}
	return o, found, nil
}

func (s *scripted) ListEvents(context.Context, stripeapi.EventQuery) iter.Seq2[stripeapi.Event, error] {
	return func(yield func(stripeapi.Event, error) bool) {
		if s.hidden {
			return
		}
		for _, e := range s.events {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (s *scripted) byID(id string) *scriptedIntent {
	for _, in := range s.intents {
		if in.id == id {
			return in
		}
	}
	return &scriptedIntent{state: wallet.OutcomeMissing}
}

// answer completes the challenge of a payment.
func (s *scripted) answer(id wallet.ID, passed bool) {
	if passed {
		s.move(s.intents[id], wallet.OutcomeSucceeded)
		return
	}
	s.move(s.intents[id], wallet.OutcomeDeclined)
}

// move changes an intent and adds the event about it.
func (s *scripted) move(in *scriptedIntent, to wallet.OutcomeKind) {
	in.state = to
	types := map[wallet.OutcomeKind]string{
		wallet.OutcomeCanceled: "canceled", wallet.OutcomeDeclined: "payment_failed", wallet.OutcomeProcessing: "processing",
		wallet.OutcomeRequiresAction: "requires_action", wallet.OutcomeSucceeded: "succeeded",
	}
	e := stripeapi.Event{
		CreatedAt: time.Now(), ID: fmt.Sprintf("evt_%s_%d", in.paymentID, len(s.events)), Type: "payment_intent." + types[to],
	}
	raw, err := json.Marshal(map[string]any{
		"id": e.ID, "object": "event", "type": e.Type, "created": e.CreatedAt.Unix(),
		"data": map[string]any{"object": map[string]any{
			"id": in.id, "object": "payment_intent", "metadata": map[string]string{"payment_id": in.paymentID.String()},
		}},
	})
	if err != nil {
		panic(err) // every value can be marshaled
	}
	e.Raw = raw
	s.events = append(s.events, e)
}

// outcome returns the intent as an Outcome.
func (in *scriptedIntent) outcome() wallet.Outcome {
	o := wallet.Outcome{Kind: in.state, IntentID: in.id, PaymentID: in.paymentID}
	switch in.state {
	case wallet.OutcomeSucceeded:
		o.AmountReceived, o.Currency, o.ChargeID = in.amount, wallet.USD, "ch_"+in.id
	case wallet.OutcomeRequiresAction:
		o.RedirectURL = "https://hooks.stripe.com/" + in.id
	case wallet.OutcomeDeclined:
		o.Failure = wallet.Failure{Code: "card_declined", Message: "Your card was declined."}
	case wallet.OutcomeCanceled:
		o.Failure = wallet.Failure{Code: wallet.FailureCanceled, Message: "The payment was canceled."}
	case wallet.OutcomeMissing:
		return wallet.Outcome{Kind: wallet.OutcomeMissing, Reason: "no such intent"}
	default:
	}
	return o
}
