package postgres

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

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

// queue adds a statement that writes rows, and must affect each of them once.
// Without rows there is no statement.
func queue[T any](w *writes, what, statement string, rows []T) {
	add(w, statement, rows, func(tag pgconn.CommandTag) error {
		if n := tag.RowsAffected(); n != int64(len(rows)) {
			return fmt.Errorf("%s: %w: %d instead of %d", what, errRowCount, n, len(rows))
		}
		return nil
	})
}

// queueSome adds a statement that may find that a part of it is done.
func queueSome[T any](w *writes, what, statement string, rows []T) {
	add(w, statement, rows, func(tag pgconn.CommandTag) error {
		if n := tag.RowsAffected(); n > int64(len(rows)) {
			return fmt.Errorf("%s: %w: %d of %d", what, errRowCount, n, len(rows))
		}
		return nil
	})
}

func add[T any](w *writes, statement string, rows []T, check func(pgconn.CommandTag) error) {
	if len(rows) == 0 {
		return
	}
	w.batch.Queue(statement, pgx.StrictNamedArgs(columnsOf(rows)))
	w.read = append(w.read, func(results pgx.BatchResults) error {
		tag, err := results.Exec()
		if err != nil {
			return err
		}
		return check(tag)
	})
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
