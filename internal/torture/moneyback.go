package torture

import (
	"context"

	"github.com/fundrail/fundrail/internal/stripesim"
)

// anyPaid returns one of the intents that have succeeded, if there are any.
func (s *storm) anyPaid(pick uint64) (stripesim.Paid, bool) {
	paid := s.sim.Export(false)
	if len(paid) == 0 {
		return stripesim.Paid{}, false
	}
	return paid[pick%uint64(len(paid))], true
}

// refund refunds a charge in full or in part, as an operator would in Stripe's
// dashboard. Some refunds fail after they have succeeded, because the bank of the
// card refuses them.
func (s *storm) refund(ctx context.Context, a Action) {
	in, ok := s.anyPaid(a.Pick)
	if !ok {
		return
	}
	var amount int64 // zero means all that is left
	if a.Pick%3 > 0 {
		amount = 1 + int64(a.Pick>>8%uint64(in.AmountReceived)) //nolint:gosec // less than an amount of cents
	}
	r, err := s.sim.CreateRefund(in.ID, amount)
	if err != nil {
		return // more than is left, or disputed
	}
	s.counts.refunded.Add(1)
	if a.Pick%5 > 0 {
		return
	}
	pause(ctx, a.For)
	if _, err := s.sim.EndRefund(r.ID, "failed"); err == nil {
		s.counts.refundsFailed.Add(1)
	}
}

// dispute disputes a charge. Some disputes are inquiries. The merchant wins some
// and loses the others.
func (s *storm) dispute(ctx context.Context, a Action) {
	in, ok := s.anyPaid(a.Pick)
	if !ok {
		return
	}
	d, err := s.sim.OpenDispute(in.ID, stripesim.DisputeOptions{Inquiry: a.Pick%4 == 0})
	if err != nil {
		return
	}
	s.counts.disputed.Add(1)
	pause(ctx, a.For)
	won := a.Pick>>4%2 == 0
	if _, err := s.sim.ResolveDispute(d.ID, won); err != nil {
		return
	}
	if won {
		s.counts.disputesWon.Add(1)
	} else {
		s.counts.disputesLost.Add(1)
	}
}
