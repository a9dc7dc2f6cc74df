package stripesim

import (
	"strings"
	"sync/atomic"
	"time"
)

// eventRetention is how long events can be read.
const eventRetention = 30 * 24 * time.Hour

// Event is an event. Its object is a snapshot from the time of the event. Only the
// state of its deliveries changes later.
type Event struct {
	ID       string
	Created  int64
	Livemode bool
	Type     string

	failed   atomic.Bool  // a delivery was given up or dropped
	key      string       // the request's idempotency key, or ""
	object   renderer     // the snapshot
	objectID string       // for the order of deliveries and for matching
	pending  atomic.Int64 // the number of endpoints that have not confirmed it
	previous string       // previous_attributes as JSON, or ""
	reqID    string       // the request's id, or ""
}

// emit records an event. update sends it after the change.
func (t *tx) emit(typ, objectID string, object renderer) { t.emitPrevious(typ, objectID, object, "") }

// emitPrevious is emit with previous_attributes as JSON.
func (t *tx) emitPrevious(typ, objectID string, object renderer, previous string) {
	ev := &Event{
		ID:       t.s.ids.new("evt_3"),
		Created:  t.sec,
		Livemode: t.live,
		Type:     typ,
		key:      t.from.key,
		object:   object,
		objectID: objectID,
		previous: previous,
		reqID:    t.from.reqID,
	}
	targets := t.targetsOf(typ)
	ev.pending.Store(int64(len(targets)))
	t.events = append(t.events, ev)
	c := t.account.events.set(ev.ID, ev, t.ns)
	t.s.journal.event(t.live, c.at, ev, targets)
}

// appendJSON implements renderer. Lists and deliveries show an event as the same
// bytes, except for pending_webhooks, which decreases.
func (e *Event) appendJSON(b []byte, _ *expander) []byte {
	return e.appendPending(b, e.pending.Load())
}

func (e *Event) appendPending(b []byte, pending int64) []byte {
	w := enc{b: b}
	w.begin("id", e.ID)
	w.str("object", "event")
	w.str("api_version", APIVersion)
	w.int("created", e.Created)
	w.b = append(w.b, `,"data":{"object":`...)
	w.b = e.object.appendJSON(w.b, nil)
	if e.previous != "" {
		w.raw("previous_attributes", e.previous)
	}
	w.b = append(w.b, '}')
	w.bool("livemode", e.Livemode)
	w.int("pending_webhooks", pending)
	w.b = append(w.b, `,"request":{"id":`...)
	w.b = appendOptional(w.b, e.reqID)
	w.b = append(w.b, `,"idempotency_key":`...)
	w.b = appendOptional(w.b, e.key)
	w.b = append(w.b, '}')
	w.str("type", e.Type)
	w.end()
	return w.b
}

func appendOptional(b []byte, s string) []byte {
	if s == "" {
		return append(b, "null"...)
	}
	return appendString(b, s)
}

const eventListParams = listParams + `
delivery_success bool
type str
types list
`

func (c *call) getEvent() (renderer, *apiError) {
	var ev *Event
	c.acct.read(func() { ev = c.acct.events.get(c.path) })
	if ev == nil || ev.Created < c.s.clock.now().Add(-eventRetention).Unix() {
		return nil, notFound("event", c.path, "id")
	}
	return ev, nil
}

func (c *call) listEvents() (renderer, *apiError) {
	types := c.form.list("types")
	if len(types) > 20 {
		return nil, refused("", "types", "You may pass up to 20 event types.")
	}
	if typ := c.form.str("type"); typ != "" {
		if len(types) > 0 {
			return nil, refused("", "type", "You may only specify one of these parameters: type, types.")
		}
		types = []string{typ}
	}
	oldest := c.s.clock.now().Add(-eventRetention).Unix()
	return listOf(c, &c.acct.events, "event", "", func(e *Event) bool {
		return e.Created >= oldest && matchesAny(types, e.Type) && c.deliveryMatches(e)
	}, func(e *Event) int64 { return e.Created })
}

func matchesAny(patterns []string, typ string) bool {
	for _, p := range patterns {
		if typeMatches(p, typ) {
			return true
		}
	}
	return len(patterns) == 0
}

func (c *call) deliveryMatches(e *Event) bool {
	if !c.form.has("delivery_success") {
		return true
	}
	delivered := e.pending.Load() == 0 && !e.failed.Load()
	return delivered == c.form.bool("delivery_success")
}

// previousAttributes builds the JSON of previous_attributes from pairs of names and
// JSON values.
func previousAttributes(pairs ...string) string {
	var b strings.Builder
	b.WriteByte('{')
	for i := 0; i+1 < len(pairs); i += 2 {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"` + pairs[i] + `":` + pairs[i+1])
	}
	b.WriteByte('}')
	return b.String()
}
