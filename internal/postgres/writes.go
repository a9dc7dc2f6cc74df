package postgres

import (
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

// errRowCount reports that a statement changed other rows than it was given. The
// rows were locked when the change was decided on, so this is a fault of ours, and
// nothing may be stored.
var errRowCount = errors.New("wrong number of rows")

// writes collects the statements that store a decision, to be sent in one round
// trip.
type writes struct {
	batch pgx.Batch
	read  []func(pgx.BatchResults) error
	// deliveries is how many deliveries the announcements made, once check has run.
	deliveries int
}

// queue adds a statement that writes rows, with the parameters args, and must
// affect each row once. Without rows there is no statement.
func (w *writes) queue(what, statement string, rows int, args params) {
	w.add(statement, rows, args, func(affected int64) error {
		if affected != int64(rows) {
			return fmt.Errorf("%s: %w: %d instead of %d", what, errRowCount, affected, rows)
		}
		return nil
	})
}

// queueSome adds a statement that may find a part of it done.
func (w *writes) queueSome(what, statement string, rows int, args params) {
	w.add(statement, rows, args, func(affected int64) error {
		if affected > int64(rows) {
			return fmt.Errorf("%s: %w: %d of %d", what, errRowCount, affected, rows)
		}
		return nil
	})
}

func (w *writes) add(statement string, rows int, args params, check func(affected int64) error) {
	if rows == 0 {
		return
	}
	w.batch.Queue(statement, args)
	w.read = append(w.read, func(results pgx.BatchResults) error {
		tag, err := results.Exec()
		if err != nil {
			return err
		}
		return check(tag.RowsAffected())
	})
}

// queueRows is queue with the columns of the rows for parameters.
func queueRows[T any](w *writes, what, statement string, rows []T) {
	if len(rows) > 0 {
		w.queue(what, statement, len(rows), columnsOf(rows))
	}
}

// queueSomeRows is queueSome with the columns of the rows for parameters.
func queueSomeRows[T any](w *writes, what, statement string, rows []T) {
	if len(rows) > 0 {
		w.queueSome(what, statement, len(rows), columnsOf(rows))
	}
}

// withTime adds the time that all rows of a statement share to its parameters.
func withTime(now time.Time, args params) params {
	args["now"] = now
	return args
}

// announce adds the deliveries of announcements. It comes behind the changes, whose
// rows it reads.
func (w *writes) announce(list []wallet.Announcement) {
	if len(list) == 0 {
		return
	}
	w.batch.Queue(announceChanges, announcementArgs(list))
	w.read = append(w.read, func(results pgx.BatchResults) error { return results.QueryRow().Scan(&w.deliveries) })
}

// check reads the results of all statements.
func (w *writes) check(results pgx.BatchResults) error {
	for _, read := range w.read {
		if err := read(results); err != nil {
			return err
		}
	}
	return nil
}
