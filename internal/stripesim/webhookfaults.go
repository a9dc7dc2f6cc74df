package stripesim

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// The kinds of WebhookFault.
const (
	// HookAPIVersion says another api_version in the body.
	HookAPIVersion = "api_version"
	// HookBeforeAnswer delivers the event before the API request that caused it
	// is answered.
	HookBeforeAnswer = "before_answer"
	// HookDelay delivers Delay later, on the virtual clock.
	HookDelay = "delay"
	// HookDrop never delivers; the event is only listed.
	HookDrop = "drop"
	// HookDuplicate delivers Times more, one after the other or Concurrent.
	HookDuplicate = "duplicate"
	// HookLivemode says the other mode in the body.
	HookLivemode = "livemode"
	// HookOversize pads the body to Size bytes.
	HookOversize = "oversize"
	// HookReorder gathers Window events, for at most Delay of real time, and
	// delivers them newest first.
	HookReorder = "reorder"
	// HookStale signs with a time that lies Delay back.
	HookStale = "stale"
	// HookTamper changes the body after signing it.
	HookTamper = "tamper"
	// HookUnknownType says a type that does not exist.
	HookUnknownType = "unknown_type"
	// HookWrongSecret signs with a secret that nobody knows.
	HookWrongSecret = "wrong_secret"
)

// WebhookFault makes the deliveries of matching events go wrong. The kinds that
// spoil a message do so in the first Attempts, so a retry delivers it well.
type WebhookFault struct {
	// ID names the rule; one is made when it is empty.
	ID string `json:"id,omitempty"`
	// Match says which events are meant: Event, Object, Amount, Customer,
	// Metadata, PaymentMethod and Live count.
	Match Match `json:"match,omitzero"`
	// Dice says which of those are hit.
	Dice

	Kind string `json:"kind"`

	// Attempts is how many attempts are spoiled. Zero means 1, -1 all.
	Attempts int `json:"attempts,omitempty"`
	// Concurrent sends duplicates at the same time, not one after the other.
	Concurrent bool `json:"concurrent,omitempty"`
	// Delay is for HookDelay, HookStale (default 10 min) and HookReorder (default 500 ms).
	Delay Duration `json:"delay,omitempty"`
	// Size is for HookOversize. Zero means 2 MiB.
	Size int `json:"size,omitempty"`
	// Times is for HookDuplicate. Zero means 1.
	Times int `json:"times,omitempty"`
	// Window is for HookReorder. Zero means 4.
	Window int `json:"window,omitempty"`
}

func (f *WebhookFault) check() error {
	kinds := []string{
		HookAPIVersion, HookBeforeAnswer, HookDelay, HookDrop, HookDuplicate, HookLivemode,
		HookOversize, HookReorder, HookStale, HookTamper, HookUnknownType, HookWrongSecret,
	}
	switch {
	case !slices.Contains(kinds, f.Kind):
		return fmt.Errorf("kind must be one of %v, not %q", kinds, f.Kind)
	case f.Kind == HookDelay && f.Delay <= 0:
		return fmt.Errorf("delay must be positive")
	}
	return f.Dice.check()
}

// send starts a new delivery, as the rules that hit it want.
func (d *sender) send(dl *delivery, wait *sync.WaitGroup) {
	if !d.s.hooks.any.Load() {
		d.enqueue(dl)
		return
	}
	ev := dl.ev
	dl.faults = d.s.hooks.hit(&subject{
		event: ev.Type, live: ev.Livemode,
		facts: func() facts {
			f := facts{ids: []string{ev.ID, ev.objectID}}
			f.about(dl.acct.find, ev.object) // send runs under the account's lock
			return f
		},
	})
	d.route(dl, wait)
}

func (d *sender) route(dl *delivery, wait *sync.WaitGroup) {
	var delay time.Duration
	var reorder *WebhookFault
	duplicates := 0
	for i := range dl.faults {
		switch f := &dl.faults[i]; f.Kind {
		case HookDrop:
			dl.ev.failed.Store(true)
			d.count(func(c *DeliveryCounts) { c.Dropped++ })
			return
		case HookBeforeAnswer:
			if wait != nil {
				wait.Add(1)
				dl.waiters = wait
			}
		case HookDelay:
			delay += time.Duration(f.Delay)
		case HookDuplicate:
			duplicates += max(f.Times, 1)
			if f.Concurrent {
				dl.lane = ""
			}
		case HookReorder:
			reorder = f
		}
	}
	copies := []*delivery{dl}
	for range duplicates {
		again := *dl
		again.counted, again.waiters = false, nil
		copies = append(copies, &again)
	}
	for _, c := range copies {
		switch {
		case reorder != nil:
			d.hold(reorder, c)
		case delay > 0:
			d.after(delay, c)
		default:
			d.enqueue(c)
		}
	}
}

func (d *sender) count(add func(*DeliveryCounts)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	add(&d.total)
}

// hold keeps a delivery until the window is full or its time is over.
func (d *sender) hold(f *WebhookFault, dl *delivery) {
	window, wait := f.Window, time.Duration(f.Delay)
	if window <= 0 {
		window = 4
	}
	orDuration(&wait, 500*time.Millisecond)
	dl.lane = "reorder " + f.ID // the object's own lane would put it back in order
	d.mu.Lock()
	if d.held == nil {
		d.held = map[string][]*delivery{}
	}
	d.held[f.ID] = append(d.held[f.ID], dl)
	d.scheduled++
	n := len(d.held[f.ID])
	d.mu.Unlock()
	switch {
	case n >= window:
		d.release(f.ID)
	case n == 1:
		time.AfterFunc(wait, func() { d.release(f.ID) })
	}
}

// release delivers what a rule has gathered, newest first.
func (d *sender) release(id string) {
	d.mu.Lock()
	gathered := d.held[id]
	delete(d.held, id)
	d.mu.Unlock()
	for _, dl := range slices.Backward(gathered) {
		d.enqueue(dl)
	}
	d.mu.Lock()
	d.scheduled -= len(gathered)
	d.mu.Unlock()
}

// garble spoils a message as the rules want.
func (dl *delivery) garble(m *message) {
	for i := range dl.faults {
		f := &dl.faults[i]
		if attempts := max(f.Attempts, 1); f.Attempts >= 0 && dl.attempt > attempts {
			continue
		}
		switch f.Kind {
		case HookAPIVersion:
			m.replace(`"api_version":"`+APIVersion+`"`, `"api_version":"2024-06-20"`)
		case HookLivemode:
			m.replace(livemodeField(dl.ev.Livemode), livemodeField(!dl.ev.Livemode))
		case HookOversize:
			m.pad(f.Size)
		case HookStale:
			back := time.Duration(f.Delay)
			orDuration(&back, 10*time.Minute)
			m.at = m.at.Add(-back)
		case HookTamper:
			m.body = append(bytes.Clone(m.body[:len(m.body)-1]), `,"tampered":true}`...)
		case HookUnknownType:
			m.replace(`,"type":"`+dl.ev.Type+`"}`, `,"type":"simulated.never_heard_of"}`)
		case HookWrongSecret:
			m.secrets = []string{"whsec_wrong"}
		}
	}
}

func livemodeField(live bool) string { return fmt.Sprintf(`"livemode":%t`, live) }

// replace changes the signed body.
func (m *message) replace(from, to string) {
	m.body = bytes.ReplaceAll(m.body, []byte(from), []byte(to))
	m.signed = m.body
}

func (m *message) pad(size int) {
	if size <= 0 {
		size = 2 << 20
	}
	if n := size - len(m.body); n > 0 {
		m.body = append(bytes.Clone(m.body), strings.Repeat(" ", n)...)
		m.signed = m.body
	}
}
