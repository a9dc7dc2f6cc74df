package api

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/fundrail/fundrail/internal/wallet"
)

// One organization whose writes all end in doubt is refused new ones. Others are not,
// until the process carries on as many as it can.
func TestDoubtsOfOneOrganization(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		d := newDoubts()
		blocked, other := wallet.NewID(), wallet.NewID()
		resolved := make(chan struct{})
		carryOn := func(organizationID wallet.ID) {
			d.carryOn(organizationID, doubtKey{}, func(life context.Context) {
				select {
				case <-resolved:
				case <-life.Done():
				}
			})
		}
		for range maxInDoubtOf {
			if err := d.admit(blocked, doubtKey{}); err != nil {
				t.Fatalf("a write is refused before %d are in doubt: %v", maxInDoubtOf, err)
			}
			carryOn(blocked)
		}
		if d.admit(blocked, doubtKey{}) == nil {
			t.Errorf("the organization may write while %d of its writes are in doubt", maxInDoubtOf)
		}
		if err := d.admit(other, doubtKey{}); err != nil {
			t.Errorf("another organization is refused: %v", err)
		}
		for range maxInDoubt - maxInDoubtOf {
			carryOn(wallet.NewID())
		}
		if d.admit(other, doubtKey{}) == nil {
			t.Errorf("a write is admitted while %d are in doubt", maxInDoubt)
		}

		close(resolved)
		synctest.Wait()
		if err := d.admit(blocked, doubtKey{}); err != nil {
			t.Errorf("after its writes were resolved, the organization is refused: %v", err)
		}
		if len(d.organizations) > 0 {
			t.Errorf("%d organizations are remembered", len(d.organizations))
		}
	})
}

// While a write with an idempotency key is in doubt, its key admits no other write.
func TestDoubtHoldsItsKey(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		d := newDoubts()
		org := wallet.NewID()
		key := doubtKey{organizationID: org, operation: "POST /v1/wallet/fund", key: "order-1"}
		d.carryOn(org, key, func(life context.Context) { <-life.Done() })
		if d.admit(org, key) == nil {
			t.Error("a second write with the key is admitted")
		}
		if err := d.admit(org, doubtKey{organizationID: org, operation: "POST /v1/refunds", key: "order-1"}); err != nil {
			t.Errorf("another operation with the key is refused: %v", err)
		}
		d.cancel()
		synctest.Wait()
		if err := d.admit(org, key); err != nil {
			t.Errorf("the key of a resolved write is refused: %v", err)
		}
	})
}
