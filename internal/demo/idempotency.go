package demo

import (
	"bytes"
	"context"
	"crypto/rand"
	"net/http"
)

// runIdempotency repeats a request under its idempotency key, and then sends another
// request under the same key.
func runIdempotency(ctx context.Context, s *story) error {
	key := "order-" + rand.Text()[:8]
	return s.gained(ctx, 15_00, func() error {
		first, err := s.fund(ctx, "visa", "15.00", "Idempotency-Key", key)
		if err != nil {
			return err
		}
		s.same("the status", first.text("status"), "completed")
		second, err := s.fund(ctx, "visa", "15.00", "Idempotency-Key", key)
		if err != nil {
			return err
		}
		s.check(bytes.Equal(first.body, second.body) && first.status == second.status, "the second answer equals the first, byte for byte")
		s.same("the Idempotent-Replayed header", second.header.Get("Idempotent-Replayed"), "true")
		other, err := s.fund(ctx, "visa", "16.00", "Idempotency-Key", key)
		if err != nil {
			return err
		}
		s.check(other.status == http.StatusUnprocessableEntity, "another amount under the same key is refused")
		return s.booked(ctx, 1)
	})
}
