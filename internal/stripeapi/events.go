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

// Event is an event as Stripe's list has it.
type Event struct {
	ID         string
	Type       string
	APIVersion string
	Livemode   bool
	CreatedAt  time.Time
	// Raw is the whole event as JSON, as a webhook would have brought it.
	Raw json.RawMessage
}

// EventQuery says which events to list.
type EventQuery struct {
	// After is the id of an event. The list starts with the one that follows it.
	// Empty means to start at Since.
	After string
	// Since is where the list starts when After is empty, or is so old that
	// Stripe has forgotten it. Stripe keeps events for 30 days. Zero means the
	// oldest it has.
	Since time.Time
	// Types are the types to list, at most 20, with payment_intent.* and the
	// like. None means all.
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

// ListEvents goes through Stripe's events from the oldest to the newest, so that
// whoever stops early can go on after the last one seen. It ends at the first
// error, which it yields.
//
// Stripe shows events a little out of order: one that is missing now can turn up
// before one that was seen. Start some minutes early, and expect to see the same
// event again.
func (c *Client) ListEvents(ctx context.Context, q EventQuery) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		walk := &eventWalk{client: c, query: q, yield: yield}
		if err := walk.run(ctx); err != nil && !errors.Is(err, errEnough) {
			yield(Event{}, err)
		}
	}
}

// errEnough ends a walk whose caller wants no more.
var errEnough = errors.New("enough")

// eventWalk is one walk through the events.
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
	if forgotten(err) {
		return w.fromSince(ctx)
	}
	return err
}

// forward yields what is newer than the cursor, page by page. A page holds the
// events next to the cursor, newest first.
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
			return stuck(listEvents)
		}
		cursor = p.newest()
	}
}

// fromSince finds the oldest page, which is the last one, and goes on forward
// from there. Going down takes a call for each page more, and holds no more than
// one page.
func (w *eventWalk) fromSince(ctx context.Context) error {
	body := w.body(Window{Since: w.query.Since})
	for pages := 1; ; pages++ {
		p, err := w.page(ctx, body)
		if err != nil {
			return err
		}
		if p.HasMore {
			if cursor := body.Get(stripe.StartingAfter); len(cursor) > 0 && cursor[0] == p.oldest() {
				return stuck(listEvents)
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
	if len(w.query.Types) > 0 { // an empty list would be sent as a type without a name
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

// forgotten tells whether Stripe no longer has the event of the cursor.
func forgotten(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Kind == wallet.OutcomeRejected &&
		(e.Code == string(stripe.ErrorCodeResourceMissing) || e.Param == stripe.EndingBefore)
}
