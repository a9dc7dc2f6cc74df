package stripeapi

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/form"

	"github.com/fundrail/fundrail/internal/wallet"
)

const eventsPath = "/v1/events"

// Event is an event in Stripe's list.
type Event struct {
	ID         string
	Type       string
	APIVersion string
	Livemode   bool
	CreatedAt  time.Time
	// Raw is the whole event as JSON, in the format of a webhook.
	Raw json.RawMessage
}

// EventQuery selects the events to list.
type EventQuery struct {
	// After is the id of an event. The list starts with the next newer one. Empty
	// means to start at Since.
	After string
	// Since is where the list starts if After is empty or no longer known to
	// Stripe, which keeps events for 30 days. Zero means the oldest event.
	Since time.Time
	// Types are the types to list, at most 20. They may end in a wildcard, as in
	// payment_intent.*. Empty means all types.
	Types []string
}

type event struct{ Event }

func (e *event) id() string { return e.ID }

// UnmarshalJSON implements json.Unmarshaler.
func (e *event) UnmarshalJSON(b []byte) error {
	var head struct {
		ID         string `json:"id"`
		APIVersion string `json:"api_version"`
		Created    int64  `json:"created"`
		Livemode   bool   `json:"livemode"`
		Type       string `json:"type"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return err
	}
	e.Event = Event{
		ID:         head.ID,
		Type:       head.Type,
		APIVersion: head.APIVersion,
		Livemode:   head.Livemode,
		CreatedAt:  seconds(head.Created),
		Raw:        slices.Clone(b),
	}
	return nil
}

// ListEvents iterates over Stripe's events from the oldest to the newest. A caller
// that stops early can continue after the last event that it saw. The iteration
// ends at the first error, which it yields.
//
// Stripe lists events slightly out of order: a missing event can appear later,
// before one that was already listed. Callers should start some minutes earlier and
// must expect to see events again.
func (c *Client) ListEvents(ctx context.Context, q EventQuery) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		walk := &eventWalk{client: c, query: q, yield: yield}
		if err := walk.run(ctx); err != nil && !errors.Is(err, errEnough) {
			yield(Event{}, err)
		}
	}
}

// errEnough ends a walk after the caller has stopped the iteration.
var errEnough = errors.New("enough")

// eventWalk is one iteration over the events.
type eventWalk struct {
	client *Client
	query  EventQuery
	yield  func(Event, error) bool
}

func (w *eventWalk) run(ctx context.Context) error {
	if w.query.After == "" {
		return w.fromSince(ctx)
	}
	err := w.forward(ctx, w.query.After)
	if cursorExpired(err) {
		return w.fromSince(ctx)
	}
	return err
}

// forward yields the events that are newer than the cursor, page by page. Each page
// holds the events next to the cursor, newest first.
func (w *eventWalk) forward(ctx context.Context, cursor string) error {
	body := w.body(Window{})
	for {
		body.Set(stripe.EndingBefore, cursor)
		p, err := w.page(ctx, body)
		if err != nil {
			return err
		}
		if err := w.yieldOldestFirst(p); err != nil {
			return err
		}
		if !p.HasMore {
			return nil
		}
		if p.newest() == cursor {
			return repeatedPage(listEvents)
		}
		cursor = p.newest()
	}
}

// fromSince pages down to the oldest page, which is the last, and continues forward
// from there. It holds one page at a time, at the cost of fetching the pages twice.
func (w *eventWalk) fromSince(ctx context.Context) error {
	body := w.body(Window{Since: w.query.Since})
	for pages := 1; ; pages++ {
		p, err := w.page(ctx, body)
		if err != nil {
			return err
		}
		if p.HasMore {
			if cursor := body.Get(stripe.StartingAfter); len(cursor) > 0 && cursor[0] == p.oldest() {
				return repeatedPage(listEvents)
			}
			body.Set(stripe.StartingAfter, p.oldest())
			continue
		}
		if err := w.yieldOldestFirst(p); err != nil || pages == 1 {
			return err
		}
		return w.forward(ctx, p.newest())
	}
}

const listEvents = "list_events"

func (w *eventWalk) body(window Window) *form.Values {
	params := &stripe.EventListParams{CreatedRange: window.params(), ListParams: listParams()}
	if len(w.query.Types) > 0 { // form would encode an empty list as a type without a name
		params.Types = stripe.StringSlice(w.query.Types)
	}
	return encode(params)
}

type eventPage = page[event, *event]

func (w *eventWalk) page(ctx context.Context, body *form.Values) (*eventPage, error) {
	return getPage[event](ctx, w.client, listEvents, eventsPath, body)
}

func (w *eventWalk) yieldOldestFirst(p *eventPage) error {
	for _, e := range slices.Backward(p.Data) {
		if !w.yield(e.Event, nil) {
			return errEnough
		}
	}
	return nil
}

// cursorExpired reports whether Stripe no longer has the event of the cursor.
func cursorExpired(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Kind == wallet.OutcomeRejected &&
		(e.Code == string(stripe.ErrorCodeResourceMissing) || e.Param == stripe.EndingBefore)
}
