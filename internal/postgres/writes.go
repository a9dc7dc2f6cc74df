package postgres

import (
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

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
	w.add(what, counted(statement), rows, args)
}

// queueSome adds a statement that may find a part of it done.
func (w *writes) queueSome(what, statement string, rows int, args params) {
	w.add(what, countedAtMost(statement), rows, args)
}

func (w *writes) add(what, statement string, rows int, args params) {
	if rows == 0 {
		return
	}
	args["expected_rows"] = rows
	w.batch.Queue(statement, args)
	w.read = append(w.read, func(results pgx.BatchResults) error {
		if _, err := results.Exec(); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	})
}

// counted is a statement that fails unless it writes @expected_rows rows. The server
// counts, because the commit is sent with the statements, before a count could be read
// here. It fails by reading a text as a number, and the text is in the error.
func counted(statement string) string { return countedBy(statement, "=") }

// countedAtMost is a statement that fails when it writes more than @expected_rows rows.
func countedAtMost(statement string) string { return countedBy(statement, "<=") }

// countedStatements are the statements that were made so far, by what they count.
var countedStatements sync.Map

type uncounted struct{ statement, operator string }

func countedBy(statement, operator string) string {
	key := uncounted{statement: statement, operator: operator}
	if known, ok := countedStatements.Load(key); ok {
		return known.(string)
	}
	text := `with written as (
` + statement + `
returning 1
)
select case
    when count(*) ` + operator + ` @expected_rows::bigint then 0
    else ('wrong number of rows: ' || count(*) || ' instead of ' || @expected_rows::bigint)::int
end
from written`
	countedStatements.Store(key, text)
	return text
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
