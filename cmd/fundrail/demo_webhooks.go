package main

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

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/webhooks"
)

// deliver posts an event as Stripe does, signed with a secret, and returns the
// status of the answer.
func (s *story) deliver(ctx context.Context, body []byte, secret string) (int, error) {
	r, err := s.call(ctx, http.MethodPost, s.stack.apiURL+webhooks.Path, body,
		"Stripe-Signature", signature(body, secret, s.Now()))
	return r.status, err
}

// signature is what Stripe puts into the header of that name.
func signature(body []byte, secret string, at time.Time) string {
	t := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

// tellDuplicates delivers the event that settles a payment ten times at once.
func tellDuplicates(ctx context.Context, s *story) error {
	const times = 10
	return s.heldBack(ctx, 20_00, func(payment string, events []simEvent) error {
		e := events[0]
		s.fact("sent", "POST %s  %s %s", webhooks.Path, e.Type, s.paint(faint, fmt.Sprintf("%s, %d times at once", e.ID, times)))
		statuses := make([]int, times)
		var g errgroup.Group
		for i := range times {
			g.Go(func() (err error) {
				statuses[i], err = s.deliver(ctx, e.Body, s.stack.seed.WebhookSecret)
				return err
			})
		}
		if err := g.Wait(); err != nil {
			return err
		}
		s.fact("answered", "%s", strings.Trim(fmt.Sprint(statuses), "[]"))
		s.check(!slices.ContainsFunc(statuses, func(status int) bool { return status != http.StatusOK }), "each delivery is answered 200")
		if _, err := s.becomes(ctx, payment, "completed"); err != nil {
			return err
		}
		stored, err := s.handled(ctx, e.ID)
		if err != nil {
			return err
		}
		s.same("the number of deliveries of the one stored event", stored.Deliveries, times)
		return s.moves(ctx, payment)
	})
}

// tellDisorder delivers the events of a payment from the last to the first.
func tellDisorder(ctx context.Context, s *story) error {
	return s.heldBack(ctx, 35_00, func(payment string, events []simEvent) error {
		for _, e := range events {
			if err := s.deliverAndTell(ctx, e, s.stack.seed.WebhookSecret, http.StatusOK); err != nil {
				return err
			}
			if _, err := s.handled(ctx, e.ID); err != nil {
				return err
			}
		}
		if _, err := s.becomes(ctx, payment, "completed"); err != nil {
			return err
		}
		return s.moves(ctx, payment)
	})
}

// heldBack has a challenge passed while the simulator's own deliveries are held
// back, and leaves it to deliver what they would have said: the events of the
// payment, the newest first. In the end it must have been credited once.
func (s *story) heldBack(ctx context.Context, amount int64, deliver func(payment string, events []simEvent) error) error {
	return s.gained(ctx, amount, func() error {
		release, err := s.stack.sim.holdBack()
		if err != nil {
			return err
		}
		defer release()
		payment, err := s.challenge(ctx, wallet.FormatMinor(amount, wallet.USD), "succeed")
		if err != nil {
			return err
		}
		events, err := s.eventsOf(ctx, payment)
		if err != nil {
			return err
		}
		if len(events) == 0 {
			return fmt.Errorf("the simulator has no events of payment %s", payment)
		}
		for _, e := range events {
			if err := s.unknown(ctx, e.ID); err != nil {
				return err
			}
		}
		s.check(events[0].Type == "payment_intent.succeeded", "Stripe has %d events about it, and none has arrived", len(events))
		if err := deliver(payment, events); err != nil {
			return err
		}
		return s.booked(ctx, 1)
	})
}

// tellForgery delivers lies about a payment that is still waiting for its
// cardholder: signed by a stranger, and signed with the secret that leaked.
func tellForgery(ctx context.Context, s *story) error {
	return s.gained(ctx, 0, func() error {
		payment, _, err := s.challenged(ctx, "60.00")
		if err != nil {
			return err
		}
		events, err := s.eventsOf(ctx, payment)
		if err != nil {
			return err
		}
		if len(events) == 0 {
			return fmt.Errorf("the simulator has no events of payment %s", payment)
		}
		lie := forge(events[0], "evt_forged_"+rand.Text()[:8], "payment_intent.succeeded")
		s.line("A stranger says that it was paid, and signs with a secret of their own.")
		if err := s.deliverAndTell(ctx, lie, "whsec_of_a_stranger", http.StatusBadRequest); err != nil {
			return err
		}
		if err := s.unknown(ctx, lie.ID); err != nil {
			return err
		}
		s.line("Somebody says the same with the secret that leaked.")
		if err := s.deliverAndTell(ctx, lie, s.stack.seed.WebhookSecret, http.StatusOK); err != nil {
			return err
		}
		if _, err := s.handled(ctx, lie.ID); err != nil {
			return err
		}
		if _, err := s.becomes(ctx, payment, "requires_action"); err != nil {
			return err
		}
		return s.booked(ctx, 0)
	})
}

// forge makes another event of one.
func forge(e simEvent, id, eventType string) simEvent {
	body := strings.ReplaceAll(string(e.Body), e.ID, id)
	body = strings.ReplaceAll(body, `"type":"`+e.Type+`"`, `"type":"`+eventType+`"`)
	body = strings.ReplaceAll(body, `"status":"requires_action"`, `"status":"succeeded"`)
	return simEvent{ID: id, Type: eventType, Body: []byte(body)}
}

// unknown fails unless an event was never stored.
func (s *story) unknown(ctx context.Context, id string) error {
	_, err := postgres.GetEvent(ctx, s.stack.pool, id)
	switch {
	case err == nil:
		s.fail("event " + id + " is not stored")
		return nil
	case wallet.HasCode(err, wallet.CodeNotFound):
		return nil
	default:
		return err
	}
}

func (s *story) deliverAndTell(ctx context.Context, e simEvent, secret string, want int) error {
	s.fact("sent", "POST %s  %s %s", webhooks.Path, e.Type, s.paint(faint, e.ID))
	status, err := s.deliver(ctx, e.Body, secret)
	if err != nil {
		return err
	}
	s.same("the HTTP status", status, want)
	return nil
}

// eventsOf gives what the simulator would say about a payment's intent, the
// newest first.
func (s *story) eventsOf(ctx context.Context, payment string) ([]simEvent, error) {
	id, err := wallet.ParseID(wallet.PrefixPayment, wallet.ModeTest, payment)
	if err != nil {
		return nil, fmt.Errorf("payment %q: %w", payment, err)
	}
	return s.stack.sim.events(ctx, id.String())
}

// handled waits until a stored event needs nothing more.
func (s *story) handled(ctx context.Context, id string) (postgres.Event, error) {
	var e postgres.Event
	err := s.await(ctx, func() (bool, error) {
		var err error
		e, err = postgres.GetEvent(ctx, s.stack.pool, id)
		return e.Status != postgres.EventPending, err
	})
	if err == nil {
		s.check(e.Status != postgres.EventPending, "event %s needs nothing more", e.Type)
	}
	return e, err
}
