package api

import (
	"log/slog"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fundrail/fundrail/internal/wallet"
)

// WaitForPayment returns the payment as soon as there is something to tell about
// it, or as it stands when d is over. It cannot fail: the payment was accepted, and
// a caller who got an error would pay again.
func (s *Server) WaitForPayment(c echo.Context, p wallet.Payment, d time.Duration) wallet.Payment {
	if p.Status.Answered() || d <= 0 {
		return p
	}
	ctx := c.Request().Context()
	waited, err := s.Payments.Wait(ctx, p.ID, d)
	if err != nil {
		s.Log.WarnContext(ctx, "payment not awaited",
			slog.String("payment_id", p.ID.String()), slog.String("request_id", RequestID(c)), slog.Any("error", err))
		return p
	}
	return waited
}

// WaitForRefund returns the refund as soon as Stripe has answered about it, or as
// it stands when d is over. It cannot fail, for the reason of WaitForPayment.
func (s *Server) WaitForRefund(c echo.Context, r wallet.Refund, d time.Duration) wallet.Refund {
	if r.Answered() || d <= 0 {
		return r
	}
	ctx := c.Request().Context()
	waited, err := s.Payments.WaitRefund(ctx, r.ID, d)
	if err != nil {
		s.Log.WarnContext(ctx, "refund not awaited",
			slog.String("refund_id", r.ID.String()), slog.String("request_id", RequestID(c)), slog.Any("error", err))
		return r
	}
	return waited
}
