package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"net/http"
)

// tellIdempotency repeats a request under its key, as a client does that lost
// the answer.
func tellIdempotency(ctx context.Context, s *story) error {
	key := "order-" + rand.Text()[:8]
	return s.gained(ctx, 15_00, func() error {
		first, err := s.fund(ctx, "visa", "15.00", "Idempotency-Key", key)
		if err != nil {
			return err
		}
		s.same("the answer", first.text("status"), "completed")
		second, err := s.fund(ctx, "visa", "15.00", "Idempotency-Key", key)
		if err != nil {
			return err
		}
		s.check(bytes.Equal(first.body, second.body) && first.status == second.status, "the second answer is the first one, byte for byte")
		s.same("its header Idempotent-Replayed", second.header.Get("Idempotent-Replayed"), "true")
		other, err := s.fund(ctx, "visa", "16.00", "Idempotency-Key", key)
		if err != nil {
			return err
		}
		s.check(other.status == http.StatusUnprocessableEntity, "the key with another amount is refused")
		return s.booked(ctx, 1)
	})
}
