package torture

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

// deliveryLog holds the events for merchants and the receipts of them.
type deliveryLog struct {
	events   []merchantEvent
	received []receipt
	pending  int // deliveries that have not been made yet
}

// merchantEvent is an event with its position among the events of its object.
type merchantEvent struct {
	ID       wallet.ID
	Merchant int `db:"-"` // index of the merchant, -1 without a delivery
	ObjectID wallet.ID
	Sequence int64
	Type     string
}

func (s *storm) readDeliveries(ctx context.Context) (deliveryLog, error) {
	var t deliveryLog
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
		merchantEvent
		EndpointID *wallet.ID
		Status     string
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[eventRow])
	for _, r := range list {
		e := r.merchantEvent
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
	t.received = append(t.received, s.receiver.received...)
	return t, nil
}

// firstReceipts returns, for each accepted event, the index of its first receipt.
func (t deliveryLog) firstReceipts() map[receipt]int {
	first := map[receipt]int{}
	for i, h := range t.received {
		if _, ok := first[h]; !ok {
			first[h] = i
		}
	}
	return first
}

// lost returns the events that no merchant accepted.
func (t deliveryLog) lost() (list []string) {
	first := t.firstReceipts()
	for _, e := range t.events {
		if _, ok := first[receipt{e.Merchant, e.ID}]; !ok {
			list = append(list, fmt.Sprintf("event %s, %s number %d of %s, did not reach merchant %d", e.ID, e.Type, e.Sequence, e.ObjectID, e.Merchant))
		}
	}
	return list
}

// outOfOrder returns the events whose first receipt is earlier than that of an
// earlier event of the same object.
func (t deliveryLog) outOfOrder() (list []string) {
	first := t.firstReceipts()
	latest := map[wallet.ID]merchantEvent{} // of each object, the event with the last first receipt
	for _, e := range t.events {
		at, ok := first[receipt{e.Merchant, e.ID}]
		if !ok {
			continue
		}
		before, ok := latest[e.ObjectID]
		if ok && at < first[receipt{before.Merchant, before.ID}] {
			list = append(list, fmt.Sprintf("%s number %d of %s was understood before %s number %d",
				e.Type, e.Sequence, e.ObjectID, before.Type, before.Sequence))
			continue
		}
		latest[e.ObjectID] = e
	}
	return list
}

// unexpected returns the receipts of events that do not exist, and gaps in the
// sequences of events.
func (t deliveryLog) unexpected() (list []string) {
	known := map[receipt]bool{}
	last := map[wallet.ID]int64{}
	for _, e := range t.events {
		known[receipt{e.Merchant, e.ID}] = true
		if last[e.ObjectID]++; last[e.ObjectID] != e.Sequence {
			list = append(list, fmt.Sprintf("event %s of %s has number %d, not %d", e.ID, e.ObjectID, e.Sequence, last[e.ObjectID]))
		}
	}
	for h := range t.firstReceipts() {
		if !known[h] {
			list = append(list, fmt.Sprintf("merchant %d received event %s, which is not theirs", h.merchant, h.event))
		}
	}
	return list
}

// judgeDeliveries compares the receipts with the events.
func (s *storm) judgeDeliveries(ctx context.Context, r *Report) error {
	t, err := s.readDeliveries(ctx)
	if err != nil {
		return err
	}
	s.receiver.mu.Lock()
	unsigned := s.receiver.unsigned
	s.receiver.mu.Unlock()
	lost, outOfOrder := t.lost(), t.outOfOrder()
	r.Deliveries = Deliveries{Events: len(t.events), Received: len(t.received), Lost: len(lost), OutOfOrder: len(outOfOrder)}
	r.findAll("event_reaches_its_merchant", lost)
	r.findAll("events_of_an_object_come_in_order", outOfOrder)
	r.findAll("event_is_one_that_happened", t.unexpected())
	r.findAll("delivery_is_signed", unsigned)
	return nil
}
