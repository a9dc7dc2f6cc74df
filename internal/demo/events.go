package demo

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/fundrail/fundrail/internal/console"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/webhooks"
)

// deliver posts an event as Stripe does, signed with secret. It returns the status of
// the answer.
func (s *story) deliver(ctx context.Context, body []byte, secret string) (int, error) {
	r, err := s.call(ctx, http.MethodPost, s.stack.APIURL+webhooks.Path, body,
		"Stripe-Signature", signature(body, secret, s.now()))
	return r.status, err
}

// signature returns the Stripe-Signature header of a body.
func signature(body []byte, secret string, at time.Time) string {
	t := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

// runDuplicates delivers the event that settles a payment ten times at once.
func runDuplicates(ctx context.Context, s *story) error {
	const times = 10
	return s.withoutDeliveries(ctx, 20_00, func(payment string, events []simEvent) error {
		e := events[0]
		s.fact("sent", "POST %s  %s %s", webhooks.Path, e.Type, s.paint(console.Faint, fmt.Sprintf("%s, %d times at once", e.ID, times)))
		statuses := make([]int, times)
		var g errgroup.Group
		for i := range times {
			g.Go(func() (err error) {
				statuses[i], err = s.deliver(ctx, e.Body, s.stack.Seed.WebhookSecret)
				return err
			})
		}
		if err := g.Wait(); err != nil {
			return err
		}
		s.fact("answered", "%s", strings.Trim(fmt.Sprint(statuses), "[]"))
		s.check(!slices.ContainsFunc(statuses, func(status int) bool { return status != http.StatusOK }), "every delivery is answered with 200")
		if _, err := s.becomes(ctx, payment, "completed"); err != nil {
			return err
		}
		stored, err := s.awaitHandled(ctx, e.ID)
		if err != nil {
			return err
		}
		s.same("the number of deliveries counted by the one stored event", stored.Deliveries, times)
		return s.moves(ctx, payment)
	})
}

// runDisorder delivers the events of a payment in reverse order.
func runDisorder(ctx context.Context, s *story) error {
	return s.withoutDeliveries(ctx, 35_00, func(payment string, events []simEvent) error {
		for _, e := range events {
			if err := s.deliverAndShow(ctx, e, s.stack.Seed.WebhookSecret, http.StatusOK); err != nil {
				return err
			}
			if _, err := s.awaitHandled(ctx, e.ID); err != nil {
				return err
			}
		}
		if _, err := s.becomes(ctx, payment, "completed"); err != nil {
			return err
		}
		return s.moves(ctx, payment)
	})
}

// withoutDeliveries passes a challenge while the simulator delivers nothing, and calls
// deliver with the events that it would have delivered, newest first. At the end the
// payment must have been credited once.
func (s *story) withoutDeliveries(ctx context.Context, amount int64, deliver func(payment string, events []simEvent) error) error {
	return s.gained(ctx, amount, func() error {
		resume, err := s.stripe.dropDeliveries()
		if err != nil {
			return err
		}
		defer resume()
		payment, err := s.challenge(ctx, wallet.FormatMinor(amount, wallet.USD), "succeed")
		if err != nil {
			return err
		}
		events, err := s.eventsOf(ctx, payment)
		if err != nil {
			return err
		}
		for _, e := range events {
			if err := s.requireUnknown(ctx, e.ID); err != nil {
				return err
			}
		}
		s.check(events[0].Type == "payment_intent.succeeded", "Stripe has %d events about the payment, and none has arrived", len(events))
		if err := deliver(payment, events); err != nil {
			return err
		}
		return s.booked(ctx, 1)
	})
}

// runForgery delivers a forged event about a payment that is waiting for its cardholder:
// signed with a wrong secret, and signed with the right one.
func runForgery(ctx context.Context, s *story) error {
	return s.gained(ctx, 0, func() error {
		payment, _, err := s.fundChallenged(ctx, "60.00")
		if err != nil {
			return err
		}
		events, err := s.eventsOf(ctx, payment)
		if err != nil {
			return err
		}
		forged := forge(events[0], "evt_forged_"+rand.Text()[:8], "payment_intent.succeeded")
		s.line("A stranger claims that the payment succeeded, and signs with a secret of their own.")
		if err := s.deliverAndShow(ctx, forged, "whsec_of_a_stranger", http.StatusBadRequest); err != nil {
			return err
		}
		if err := s.requireUnknown(ctx, forged.ID); err != nil {
			return err
		}
		s.line("An attacker who has stolen the secret signs the same event with it.")
		if err := s.deliverAndShow(ctx, forged, s.stack.Seed.WebhookSecret, http.StatusOK); err != nil {
			return err
		}
		if _, err := s.awaitHandled(ctx, forged.ID); err != nil {
			return err
		}
		if _, err := s.becomes(ctx, payment, "requires_action"); err != nil {
			return err
		}
		return s.booked(ctx, 0)
	})
}

// forge turns an event into one of another id and type, which says that the payment
// succeeded.
func forge(e simEvent, id, eventType string) simEvent {
	body := strings.ReplaceAll(string(e.Body), e.ID, id)
	body = strings.ReplaceAll(body, `"type":"`+e.Type+`"`, `"type":"`+eventType+`"`)
	body = strings.ReplaceAll(body, `"status":"requires_action"`, `"status":"succeeded"`)
	return simEvent{ID: id, Type: eventType, Body: []byte(body)}
}

// requireUnknown records a failed check if an event is stored.
func (s *story) requireUnknown(ctx context.Context, id string) error {
	_, err := postgres.GetEvent(ctx, s.stack.Pool, id)
	switch {
	case err == nil:
		s.fail("event " + id + " is stored")
		return nil
	case wallet.HasCode(err, wallet.CodeNotFound):
		return nil
	default:
		return err
	}
}

// deliverAndShow delivers an event, prints it and checks the status of the answer.
func (s *story) deliverAndShow(ctx context.Context, e simEvent, secret string, want int) error {
	s.fact("sent", "POST %s  %s %s", webhooks.Path, e.Type, s.paint(console.Faint, e.ID))
	status, err := s.deliver(ctx, e.Body, secret)
	if err != nil {
		return err
	}
	s.same("the HTTP status", status, want)
	return nil
}

// eventsOf returns the simulator's events about a payment, newest first. There is at
// least one.
func (s *story) eventsOf(ctx context.Context, payment string) ([]simEvent, error) {
	id, err := wallet.ParseID(wallet.PrefixPayment, wallet.ModeTest, payment)
	if err != nil {
		return nil, fmt.Errorf("payment %q: %w", payment, err)
	}
	events, err := s.stripe.events(ctx, id.String())
	if err == nil && len(events) == 0 {
		err = fmt.Errorf("the simulator has no events of payment %s", payment)
	}
	return events, err
}

// awaitHandled waits until a stored event is no longer pending.
func (s *story) awaitHandled(ctx context.Context, id string) (postgres.Event, error) {
	var e postgres.Event
	err := s.await(ctx, func() (bool, error) {
		var err error
		e, err = postgres.GetEvent(ctx, s.stack.Pool, id)
		return e.Status != postgres.EventPending, err
	})
	if err == nil {
		s.check(e.Status != postgres.EventPending, "the stored event %s is no longer pending", e.Type)
	}
	return e, err
}
