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
	// HookAPIVersion puts another api_version into the body.
	HookAPIVersion = "api_version"
	// HookBeforeAnswer delivers the event before the API request that caused it is
	// answered.
	HookBeforeAnswer = "before_answer"
	// HookDelay delays the delivery by Delay, by the virtual clock.
	HookDelay = "delay"
	// HookDrop does not deliver the event, which is still listed.
	HookDrop = "drop"
	// HookDuplicate delivers the event Times more often, one after the other or
	// Concurrent.
	HookDuplicate = "duplicate"
	// HookLivemode puts the other mode into the body.
	HookLivemode = "livemode"
	// HookOversize pads the body to Size bytes.
	HookOversize = "oversize"
	// HookReorder collects Window events, for at most Delay of real time, and
	// delivers the newest first.
	HookReorder = "reorder"
	// HookStale signs with a timestamp that is Delay old.
	HookStale = "stale"
	// HookTamper changes the body after signing it.
	HookTamper = "tamper"
	// HookUnknownType puts a type into the body that does not exist.
	HookUnknownType = "unknown_type"
	// HookWrongSecret signs with a secret that the receiver does not have.
	HookWrongSecret = "wrong_secret"
)

// WebhookFault is a rule that changes the deliveries of matching events. The kinds
// that change the message affect only the first Attempts, so a retry succeeds.
type WebhookFault struct {
	// ID identifies the rule. Empty means a new id.
	ID string `json:"id,omitempty"`
	// Match selects the events. Its fields Event, Object, Amount, Customer,
	// Metadata, PaymentMethod and Live are used.
	Match Match `json:"match,omitzero"`
	// Dice selects some of these.
	Dice

	Kind string `json:"kind"`

	// Attempts is how many attempts are affected. Zero means 1, and -1 means all.
	Attempts int `json:"attempts,omitempty"`
	// Concurrent sends duplicates at the same time instead of one after the other.
	Concurrent bool `json:"concurrent,omitempty"`
	// Delay is for HookDelay (required), HookStale (10 min by default) and
	// HookReorder (500 ms by default).
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

// send starts a delivery, changed by the rules that apply to it.
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
			f.about(dl.acct.find, ev.object) // send runs with the account's lock held
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

// hold keeps a delivery until the rule's window is full or its time has passed.
func (d *sender) hold(f *WebhookFault, dl *delivery) {
	window, wait := f.Window, time.Duration(f.Delay)
	if window <= 0 {
		window = 4
	}
	defaultDuration(&wait, 500*time.Millisecond)
	dl.lane = "reorder " + f.ID // the lane of the object would restore the order
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

// release delivers the events that a rule has collected, newest first.
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

// garble changes a message as the rules say.
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
			defaultDuration(&back, 10*time.Minute)
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

// replace changes the body before it is signed.
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
