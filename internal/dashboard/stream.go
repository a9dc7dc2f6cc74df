package dashboard

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/postgres/views"
	"github.com/fundrail/fundrail/internal/wallet"
)

const (
	// streamEvery is how often a page about one thing looks whether it has changed.
	streamEvery = time.Second
	// listEvery is how often a list is read anew.
	listEvery = 5 * time.Second
	// streamLife ends a stream; the browser opens another, and is asked again who it
	// is.
	streamLife = 5 * time.Minute
)

// stream answers GET /admin/{mode}/stream?of=…, server-sent events that say when the
// page should be read again. They carry nothing else.
func (d *Dashboard) stream(r *request) error {
	look, every := d.follow(r)
	if look == nil {
		return errNotFound
	}
	select {
	case d.streams <- struct{}{}:
		defer func() { <-d.streams }()
	default:
		r.Response().Header().Set(echo.HeaderRetryAfter, "60")
		return r.NoContent(http.StatusServiceUnavailable)
	}
	h := r.Response().Header()
	h.Set(echo.HeaderContentType, "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // what proxies go by
	r.Response().WriteHeader(http.StatusOK)
	ctx, cancel := context.WithTimeout(r.ctx(), streamLife)
	defer cancel()
	// A stream lives longer than other answers may.
	if deadline, ok := ctx.Deadline(); ok {
		_ = http.NewResponseController(r.Response()).SetWriteDeadline(deadline.Add(listEvery)) // not every writer has one
	}
	r.send("retry: 3000\n\n")
	tick := time.NewTicker(every)
	defer tick.Stop()
	last := r.QueryParam("seen")
	for {
		now, err := look(ctx)
		if err != nil {
			return nil // the browser asks again, and finds out what is wrong
		}
		if now != last {
			last = now
			r.send("event: change\ndata: " + now + "\n\n")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-d.closing:
			return nil
		case <-tick.C:
		}
		if !r.stillWelcome(ctx) {
			return nil // the browser asks again, and is told
		}
	}
}

// stillWelcome reports whether the user is who began the stream: a new password or
// another role ends it, as they end a session.
func (r *request) stillWelcome(ctx context.Context) bool {
	u, err := postgres.GetUser(ctx, r.dashboard.Pool, r.user.ID)
	return err == nil && u.DisabledAt == nil && u.Role == r.user.Role && u.PasswordChangedAt.Equal(r.user.PasswordChangedAt)
}

func (r *request) send(text string) {
	_, _ = fmt.Fprint(r.Response(), text)
	r.Response().Flush()
}

// follow finds how to tell two states of something apart, and how often to look; nil
// for something that cannot be followed.
func (d *Dashboard) follow(r *request) (func(context.Context) (string, error), time.Duration) {
	kind, id, _ := strings.Cut(r.QueryParam("of"), " ")
	switch kind {
	case "payment":
		paymentID, err := uuid.Parse(id)
		if err != nil {
			return nil, 0
		}
		return func(ctx context.Context) (string, error) {
			s, err := views.GetPaymentStory(ctx, d.Pool, r.mode, paymentID)
			return version(s), err
		}, streamEvery
	case "job":
		jobID, err := strconv.ParseInt(id, 10, 64)
		if err != nil {
			return nil, 0
		}
		return func(ctx context.Context) (string, error) {
			j, err := views.GetJob(ctx, d.Pool, r.mode, jobID)
			if wallet.HasCode(err, wallet.CodeNotFound) {
				return "gone", nil
			}
			return version(j), err
		}, streamEvery
	case "event":
		return func(ctx context.Context) (string, error) {
			e, err := postgres.GetEvent(ctx, d.Pool, id)
			if err == nil && e.Mode != r.mode {
				err = errNotFound
			}
			return version(e), err
		}, streamEvery
	case "attention", "events", "jobs", "overview", "payments", "queues":
		n := -1
		return func(context.Context) (string, error) {
			if n++; n == 0 {
				return r.QueryParam("seen"), nil // it has just been read
			}
			return strconv.Itoa(n), nil
		}, listEvery
	}
	return nil, 0
}

// version is a short text that differs for two states of something.
func version(v any) string {
	b, _ := json.Marshal(v) // what it cannot write has no version
	sum := sha256.Sum256(b)
	const length = 8
	return hex.EncodeToString(sum[:length])
}
