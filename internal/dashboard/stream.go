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
	// streamEvery is how often the stream of a detail page checks for a change.
	streamEvery = time.Second
	// listEvery is how often a list is reloaded.
	listEvery = 5 * time.Second
	// streamLife is how long a stream lasts. The browser then opens another, whose session
	// is checked again.
	streamLife = 5 * time.Minute
)

// stream answers GET /admin/{mode}/stream?of=… with server-sent events. An event means that
// the page has changed and carries only the new version.
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
	h.Set("X-Accel-Buffering", "no") // keeps proxies from buffering the stream
	r.Response().WriteHeader(http.StatusOK)
	ctx, cancel := context.WithTimeout(r.ctx(), streamLife)
	defer cancel()
	// A stream lasts longer than the server's limit for other responses.
	if deadline, ok := ctx.Deadline(); ok {
		_ = http.NewResponseController(r.Response()).SetWriteDeadline(deadline.Add(listEvery)) // some writers have no deadline
	}
	r.send("retry: 3000\n\n")
	tick := time.NewTicker(every)
	defer tick.Stop()
	last := r.QueryParam("seen")
	for {
		now, err := look(ctx)
		if err != nil {
			return nil // the browser reconnects and then gets the error
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
		if !r.stillAllowed(ctx) {
			return nil // the browser reconnects and is then refused
		}
	}
}

// stillAllowed reports whether the user may continue the stream. A new password, a change of
// the role or disabling the user ends it.
func (r *request) stillAllowed(ctx context.Context) bool {
	u, err := postgres.GetUser(ctx, r.dashboard.Pool, r.user.ID)
	return err == nil && u.DisabledAt == nil && u.Role == r.user.Role && u.PasswordChangedAt.Equal(r.user.PasswordChangedAt)
}

func (r *request) send(text string) {
	_, _ = fmt.Fprint(r.Response(), text)
	r.Response().Flush()
}

// follow returns a function that returns the version of the subject that the request names,
// and how often to call it. The function is nil for an unknown subject.
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
				return r.QueryParam("seen"), nil // the browser has just loaded the list
			}
			return strconv.Itoa(n), nil
		}, listEvery
	}
	return nil, 0
}

// version returns a short hash of v. It differs for different values.
func version(v any) string {
	b, _ := json.Marshal(v) // the pages' data can always be encoded
	sum := sha256.Sum256(b)
	const length = 8
	return hex.EncodeToString(sum[:length])
}
