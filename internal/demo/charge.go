package demo

import (
	"context"
	"net/http"
)

// runCharge funds the wallet from a card that succeeds.
func runCharge(ctx context.Context, s *story) error {
	return s.gained(ctx, 25_00, func() error {
		r, err := s.fund(ctx, "visa", "25.00")
		if err != nil {
			return err
		}
		s.same("the HTTP status", r.status, http.StatusOK)
		s.same("the status", r.text("status"), "completed")
		if err := s.moves(ctx, r.text("payment_id")); err != nil {
			return err
		}
		return s.booked(ctx, 1)
	})
}

// runDecline funds the wallet from cards that the bank declines.
func runDecline(ctx context.Context, s *story) error {
	return s.gained(ctx, 0, func() error {
		for _, c := range []struct{ card, code, declineCode string }{
			{"insufficient_funds", "card_declined", "insufficient_funds"},
			{"expired_card", "expired_card", ""},
		} {
			r, err := s.fund(ctx, c.card, "30.00")
			if err != nil {
				return err
			}
			s.same("the HTTP status", r.status, http.StatusPaymentRequired)
			s.same("the error code", r.text("error", "code"), c.code)
			if c.declineCode != "" {
				s.same("the decline code", r.text("error", "decline_code"), c.declineCode)
			}
		}
		return s.booked(ctx, 0)
	})
}
