package jobs

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// chargeGrace is how long an event waits when the charge it tells of is under
// way: the charge's own answer is usually about to settle the payment, and the
// event's job then has nothing to do.
const chargeGrace = 2 * time.Second

// Intake is an event on its way in.
type Intake struct {
	Event postgres.Event
	// Needless says that the event asks for nothing once its payment has
	// succeeded.
	Needless bool
}

// TakeIn stores an event and, if something has to be done about it, the job that
// does it, in one transaction. An event that was here before is counted; if it is
// still not handled after a while, it gets another job.
func (e *Engine) TakeIn(ctx context.Context, i Intake) (postgres.StoredEvent, error) {
	return e.intakes.Do(ctx, i)
}

func (e *Engine) writeIntakes(ctx context.Context, list []Intake) ([]postgres.StoredEvent, error) {
	var stored []postgres.StoredEvent
	inserted := false
	err := e.inTx(ctx, func(tx pgx.Tx) error {
		events, needless := make([]postgres.Event, len(list)), make([]bool, len(list))
		for i, in := range list {
			events[i], needless[i] = in.Event, in.Needless
		}
		var err error
		stored, err = postgres.StoreEvents(ctx, tx, events, needless)
		if err != nil {
			return err
		}
		var params []river.InsertManyParams
		for i, s := range stored {
			if !s.Arm {
				continue
			}
			opts := &river.InsertOpts{}
			if s.PaymentStatus == wallet.PaymentCreated || s.PaymentStatus == wallet.PaymentProcessing {
				opts.ScheduledAt = e.Now().Add(chargeGrace)
			}
			params = append(params, river.InsertManyParams{Args: HandleEventArgs{EventID: events[i].ID}, InsertOpts: opts})
		}
		inserted = len(params) > 0
		return e.insertJobs(ctx, tx, params)
	})
	if err != nil {
		return nil, err
	}
	if inserted {
		e.wakes.wake(QueueSettle)
	}
	return stored, nil
}
