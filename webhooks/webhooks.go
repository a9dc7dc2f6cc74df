// Package webhooks receives Stripe's webhooks. It verifies an event's signature,
// stores the event together with its job, and answers. It makes no decisions about
// money; package jobs does.
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

// MaxBody is the maximum size of an event. Stripe's events are much smaller.
const MaxBody = 1 << 20

// Path is the path of the handler.
const Path = "/webhooks/stripe"

// Intake stores an event and its job in one transaction.
type Intake interface {
	TakeIn(ctx context.Context, i jobs.Intake) (postgres.StoredEvent, error)
}

// Handler answers POST /webhooks/stripe. All fields are required.
type Handler struct {
	Intake Intake
	Log    *slog.Logger
	Now    func() time.Time
	// Secrets are the endpoint's signing secrets of each mode, several while one is
	// being replaced. The matching secret determines the mode of the event.
	Secrets map[wallet.Mode][]string
}

// Register registers the handler.
func (h *Handler) Register(e *echo.Echo) { e.POST(Path, h.receive) }

// receive answers 200 when the event is committed, so that Stripe does not repeat
// it. It answers 400 and stores nothing if Stripe cannot have sent the request. It
// answers 500 if the event could not be stored, so that Stripe sends it again.
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
		// The signature is valid, so an operator has to find out why.
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

// readAll reads r to its end. It allocates the announced length in advance if that
// is within the limit.
func readAll(r io.Reader, announced int64) ([]byte, error) {
	var b bytes.Buffer
	if announced > 0 && announced <= MaxBody {
		b.Grow(int(announced) + bytes.MinRead)
	}
	_, err := b.ReadFrom(r)
	return b.Bytes(), err
}

// verify returns the mode whose secret made the signature. ValidatePayload refuses
// timestamps older than five minutes.
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
