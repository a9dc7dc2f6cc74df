// Package webhooks is what Stripe calls: it verifies an event's signature, has
// it stored together with the job that acts on it, and answers. It decides
// nothing about money; that is package jobs's part.
package webhooks

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/stripe/stripe-go/v76/webhook"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/requestid"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/jobs"
)

// MaxBody is the largest event that is taken in. Stripe's own stay far below.
const MaxBody = 1 << 20

// Path is where Stripe reaches the handler.
const Path = "/webhooks/stripe"

// Intake takes an event in: storage and the event's job, in one transaction.
type Intake interface {
	TakeIn(ctx context.Context, i jobs.Intake) (postgres.StoredEvent, error)
}

// Handler answers POST /webhooks/stripe.
type Handler struct {
	Intake Intake
	Log    *slog.Logger
	Now    func() time.Time
	// Secrets are the endpoint's signing secrets. A mode has several while one is
	// being replaced. The secret that fits decides the mode.
	Secrets map[wallet.Mode][]string
}

// Register puts the handler on its path.
func (h *Handler) Register(e *echo.Echo) { e.POST(Path, h.receive) }

// receive answers 200 once the event is safe, so that Stripe need not repeat it;
// 400, with nothing stored, to what Stripe cannot have sent; and 500 when the
// event could not be stored, so that Stripe sends it again.
func (h *Handler) receive(c echo.Context) error {
	ctx := c.Request().Context()
	body, err := readAll(http.MaxBytesReader(c.Response(), c.Request().Body, MaxBody), c.Request().ContentLength)
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return refuse(c, http.StatusRequestEntityTooLarge, "The event is larger than 1 MiB.")
	}
	if err != nil {
		return refuse(c, http.StatusBadRequest, "The event could not be read.")
	}
	mode, ok := h.verify(body, c.Request().Header.Get("Stripe-Signature"))
	if !ok {
		h.Log.WarnContext(ctx, "event with a bad signature refused", slog.String("request_id", requestid.From(ctx)), slog.Int("bytes", len(body)))
		return refuse(c, http.StatusBadRequest, "The signature does not fit the event, or is too old.")
	}
	in, err := jobs.ParseEvent(body, mode)
	if err != nil {
		// The signature was good: somebody has to look at this.
		h.Log.ErrorContext(ctx, "signed event refused", slog.String("request_id", requestid.From(ctx)), slog.Any("error", err))
		return refuse(c, http.StatusBadRequest, "The event is not one that this endpoint can read.")
	}
	in.Event.Source, in.Event.ReceivedAt = "webhook", h.Now()
	stored, err := h.Intake.TakeIn(ctx, in)
	if err != nil {
		h.Log.ErrorContext(ctx, "event not stored",
			slog.String("request_id", requestid.From(ctx)), slog.String("event_id", in.Event.ID), slog.Any("error", err))
		return refuse(c, http.StatusInternalServerError, "The event could not be stored. Please send it again.")
	}
	h.Log.DebugContext(ctx, "event stored",
		slog.String("request_id", requestid.From(ctx)), slog.String("event_id", in.Event.ID), slog.String("type", in.Event.Type),
		slog.String("status", string(stored.Status)), slog.Bool("new", stored.New))
	return c.JSONBlob(http.StatusOK, []byte(`{"received":true}`))
}

// readAll is io.ReadAll with room for what is announced, if that is credible.
func readAll(r io.Reader, announced int64) ([]byte, error) {
	var b bytes.Buffer
	if announced > 0 && announced <= MaxBody {
		b.Grow(int(announced) + bytes.MinRead)
	}
	_, err := b.ReadFrom(r)
	return b.Bytes(), err
}

// verify finds the mode whose secret made the signature. Stripe's tolerance of
// five minutes applies to the time that was signed.
func (h *Handler) verify(body []byte, signature string) (wallet.Mode, bool) {
	for _, mode := range wallet.Modes {
		for _, secret := range h.Secrets[mode] {
			if webhook.ValidatePayload(body, signature, secret) == nil {
				return mode, true
			}
		}
	}
	return "", false
}

func refuse(c echo.Context, status int, message string) error {
	return c.JSON(status, map[string]any{"error": map[string]any{"message": message}})
}
