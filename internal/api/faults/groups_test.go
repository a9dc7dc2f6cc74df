package faults_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/apitest"
	"github.com/fundrail/fundrail/internal/pgproxy"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

const groupSize = 20

// badAmount is the amount of the member whose row the database refuses.
const badAmount = 13_13

// batched are the writes that share a transaction, with the amount of each in cents.
var batched = map[string]func(cents int) write{
	"Fund": func(cents int) write {
		w := fund
		w.body = with(fmt.Sprintf(`{"payment_method_id":"{method}","amount":"%d.%02d"}`, cents/100, cents%100))
		return w
	},
	"TopUpPaid": func(cents int) write {
		w := purchase
		w.body = topUp(fmt.Sprintf(`"paid_credits":"%d.%02d"`, cents/100, cents%100))
		return w
	},
}

// TestGroupThroughEveryFault sends twenty requests at once, so that they share
// transactions, while a fault strikes the first one of these. A bad member, whose row
// the database refuses, must not spoil the others.
func TestGroupThroughEveryFault(t *testing.T) { //nolint:paralleltest // as the other test
	cases := map[string]func(*testing.T, *stand){}
	for name, member := range batched {
		for i, k := range kinds() {
			for keyName, key := range keys {
				for badName, bad := range map[string]bool{"AllGood": false, "OneBad": true} {
					if !*all && ((key == "") != bad) == (i%2 == 0) {
						continue
					}
					g := group{member: member, kind: k, key: key, bad: bad}
					cases[name+"/"+k.name+"/"+keyName+"/"+badName] = func(t *testing.T, s *stand) { s.try(t, func() verdict { return g.run(t, s) }) } //nolint:thelper // it is the case
				}
			}
		}
	}
	runAll(t, cases)
}

type group struct {
	member func(cents int) write
	kind   kind
	key    string
	bad    bool
}

// cents is the amount of a member. All are different, so that a row shows whose it is.
func (g group) cents(i int) int {
	if g.bad && i == groupSize/2 {
		return badAmount
	}
	return 20_00 + i
}

// keyOf is the Idempotency-Key of a member.
func (g group) keyOf(i int) string {
	if g.key == "" {
		return ""
	}
	return fmt.Sprintf("%s-%d", g.key, i)
}

func (g group) run(t *testing.T, s *stand) verdict {
	t.Helper()

	s.begin(t)
	defer s.proxy.Reset()
	m := newMerchant(t, s.direct)
	var other merchant
	if g.kind.alone {
		other = newMerchant(t, s.direct)
	}
	engine := &countingEngine{most: groupSize + 1, reached: make(chan struct{})}
	b := s.process(t, m, func(b *apitest.Bundle) {
		engine.Scripted, b.Server.Payments = b.Payments, engine
	})

	// A first request holds the writer while the members gather.
	var first *pgproxy.Injection
	var starter sync.WaitGroup
	if g.kind.early == nil {
		// Its commit has passed, so the fault strikes the commit of the group.
		first = s.proxy.Inject(pgproxy.Fault{When: pgproxy.AfterCommit, Do: pgproxy.HoldAnswer, SQL: claim})
		refused := make(chan struct{})
		starter.Go(func() {
			if send(t, b, g.member(99_00), m, "").Code == http.StatusServiceUnavailable {
				close(refused)
			}
		})
		select {
		case <-first.Fired():
		case <-refused:
			return missed
		}
	}
	recs := make([]*httptest.ResponseRecorder, groupSize)
	together := func() *httptest.ResponseRecorder {
		var sending sync.WaitGroup
		for i := range groupSize {
			sending.Go(func() { recs[i] = send(t, b, g.member(g.cents(i)), m, g.keyOf(i)) })
		}
		if first != nil {
			select {
			case <-engine.reached:
			case <-time.After(s.silence / 2): // one is slow, and comes later
			}
			first.Release()
		}
		sending.Wait()
		return nil
	}
	struck := strike(t, s, g.kind, b, other, together)
	starter.Wait()
	settle(t, s, g.kind, b, struck.injection)
	stored := g.judge(t, s, m, b, recs)
	if struck.injection != nil && struck.injection.Struck() == 0 {
		return missed
	}
	if stored == 0 && g.kind.early == nil && !g.kind.refused(fund) && !g.kind.doubtful {
		return late
	}
	return struck.verdict()
}

// countingEngine is an engine that is given payments of which one has no card, and that
// knows when it has many of them.
type countingEngine struct {
	*apitest.Scripted
	accepting atomic.Int32
	most      int32
	reached   chan struct{} // closed when most are with the engine
}

// Accept implements api.Payments.
func (e *countingEngine) Accept(ctx context.Context, p postgres.NewPayment) (bool, error) {
	if p.Amount == badAmount {
		p.PaymentMethodID = wallet.NewID()
	}
	if e.accepting.Add(1) == e.most {
		close(e.reached)
	}
	return e.Scripted.Accept(ctx, p)
}

// TopUp implements api.Payments.
func (e *countingEngine) TopUp(ctx context.Context, p postgres.PreparedTopUp) (bool, error) {
	if p.Purchase.Amount == badAmount {
		bad := *p.Purchase // the handler reads the other
		bad.PaymentMethodID = wallet.NewID()
		p.Purchase = &bad
	}
	if e.accepting.Add(1) == e.most {
		close(e.reached)
	}
	return e.Scripted.TopUp(ctx, p)
}

// judge compares the answers with what the database holds. It returns how many members
// are stored.
func (g group) judge(t *testing.T, s *stand, m merchant, b *apitest.Bundle, recs []*httptest.ResponseRecorder) (stored int) {
	t.Helper()

	ctx := t.Context()
	inDoubt := isInDoubt(b)
	for i, rec := range recs {
		rows := g.rows(ctx, t, s, m, i)
		switch {
		case g.cents(i) == badAmount:
			if !inDoubt || rec.Code/100 != 2 {
				require.GreaterOrEqual(t, rec.Code, http.StatusInternalServerError, rec.Body.String())
			}
			require.Empty(t, rows, "the row that the database refuses")
			continue
		case rec.Code/100 == 2:
			stored++
			require.Len(t, rows, 1, "member %d was answered with %d", i, rec.Code)
			ids := idsIn(t, rec.Body.String())
			m.requireStored(ctx, t, s.direct, ids)
			if g.key != "" {
				replay := sendAgain(t, s, g.member(g.cents(i)), m, g.keyOf(i))
				require.Equal(t, ids, idsIn(t, replay.Body.String()))
				require.Equal(t, rows, g.rows(ctx, t, s, m, i))
			}
		default:
			// A member that came too late for the group may meet the fault alone.
			if !g.kind.permanent || rec.Code != http.StatusInternalServerError {
				require.Equal(t, http.StatusServiceUnavailable, rec.Code, rec.Body.String())
			}
			require.Empty(t, rows, "member %d was answered with %d", i, rec.Code)
			again := sendAgain(t, s, g.member(g.cents(i)), m, g.keyOf(i))
			require.Len(t, g.rows(ctx, t, s, m, i), 1)
			m.requireStored(ctx, t, s.direct, idsIn(t, again.Body.String()))
		}
	}
	return stored
}

// rows list the payments of a member, each with the number of its jobs and of the times
// that it was announced.
func (g group) rows(ctx context.Context, t *testing.T, s *stand, m merchant, i int) []string {
	t.Helper()

	rows, _ := s.direct.Query(ctx, `
		select p.id || ' '
			|| (select count(*) from river_job j where j.id > $3 and j.args->'payment_ids' ? p.id::text) || ' jobs '
			|| (select count(*) from merchant_events e where e.object_id = p.wallet_transaction_id) || ' events'
		from payments p where p.wallet_id = $1 and p.amount = $2`, m.Wallet.ID, g.cents(i), m.firstJob)
	var list []string
	for rows.Next() {
		var row string
		require.NoError(t, rows.Scan(&row))
		require.Contains(t, row, " 1 jobs 1 events")
		list = append(list, row)
	}
	require.NoError(t, rows.Err())
	return list
}
