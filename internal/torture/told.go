package torture

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

// told is what merchants should have heard of, and what they have.
type told struct {
	events  []toldEvent
	heard   []hearing
	pending int // deliveries that are still to be made
}

// toldEvent is an event of ours, in the order of its object.
type toldEvent struct {
	ID       wallet.ID
	Merchant int `db:"-"` // index of the merchant, -1 without a delivery
	ObjectID wallet.ID
	Sequence int64
	Type     string
}

func (s *storm) openTold(ctx context.Context) (told, error) {
	var t told
	byEndpoint := map[wallet.ID]int{}
	for i, m := range s.merchants {
		byEndpoint[m.endpointID] = i
	}
	rows, _ := s.pool.Query(ctx, `
		select e.id, d.endpoint_id, e.object_id, e.sequence, e.type, coalesce(d.status, '') as status
		from merchant_events e
		left join deliveries d on d.event_id = e.id
		order by e.object_id, e.sequence`)
	type eventRow struct {
		toldEvent
		EndpointID *wallet.ID
		Status     string
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[eventRow])
	for _, r := range list {
		e := r.toldEvent
		e.Merchant = -1
		if r.EndpointID != nil {
			e.Merchant = byEndpoint[*r.EndpointID]
		}
		if r.Status == "pending" {
			t.pending++
		}
		t.events = append(t.events, e)
	}
	if err != nil {
		return t, fmt.Errorf("read merchants' events: %w", err)
	}
	s.receiver.mu.Lock()
	defer s.receiver.mu.Unlock()
	t.heard = append(t.heard, s.receiver.heard...)
	return t, nil
}

// first tells for each event that was understood when that was for the first time.
func (t told) first() map[hearing]int {
	first := map[hearing]int{}
	for i, h := range t.heard {
		if _, ok := first[h]; !ok {
			first[h] = i
		}
	}
	return first
}

// lost lists the events that no merchant understood.
func (t told) lost() (list []string) {
	first := t.first()
	for _, e := range t.events {
		if _, ok := first[hearing{e.Merchant, e.ID}]; !ok {
			list = append(list, fmt.Sprintf("event %s, %s number %d of %s, did not reach merchant %d", e.ID, e.Type, e.Sequence, e.ObjectID, e.Merchant))
		}
	}
	return list
}

// outOfOrder lists the events that a merchant understood, for the first time, before
// one that had happened to the same object earlier.
func (t told) outOfOrder() (list []string) {
	first := t.first()
	latest := map[wallet.ID]toldEvent{} // of each object, the event that was understood last
	for _, e := range t.events {
		at, ok := first[hearing{e.Merchant, e.ID}]
		if !ok {
			continue
		}
		before, ok := latest[e.ObjectID]
		if ok && at < first[hearing{before.Merchant, before.ID}] {
			list = append(list, fmt.Sprintf("%s number %d of %s was understood before %s number %d",
				e.Type, e.Sequence, e.ObjectID, before.Type, before.Sequence))
			continue
		}
		latest[e.ObjectID] = e
	}
	return list
}

// madeUp lists what was understood and never happened, and gaps in what did.
func (t told) madeUp() (list []string) {
	known := map[hearing]bool{}
	last := map[wallet.ID]int64{}
	for _, e := range t.events {
		known[hearing{e.Merchant, e.ID}] = true
		if last[e.ObjectID]++; last[e.ObjectID] != e.Sequence {
			list = append(list, fmt.Sprintf("event %s of %s has number %d, not %d", e.ID, e.ObjectID, e.Sequence, last[e.ObjectID]))
		}
	}
	for h := range t.first() {
		if !known[h] {
			list = append(list, fmt.Sprintf("merchant %d heard of event %s, which is not theirs", h.merchant, h.event))
		}
	}
	return list
}

// judgeTold holds what merchants heard against what happened.
func (s *storm) judgeTold(ctx context.Context, r *Report) error {
	t, err := s.openTold(ctx)
	if err != nil {
		return err
	}
	s.receiver.mu.Lock()
	unsigned := s.receiver.unsigned
	s.receiver.mu.Unlock()
	lost, outOfOrder := t.lost(), t.outOfOrder()
	r.Deliveries = Deliveries{Events: len(t.events), Received: len(t.heard), Lost: len(lost), OutOfOrder: len(outOfOrder)}
	r.findAll("event_reaches_its_merchant", lost)
	r.findAll("events_of_an_object_come_in_order", outOfOrder)
	r.findAll("event_is_one_that_happened", t.madeUp())
	r.findAll("delivery_is_signed", unsigned)
	return nil
}
