package views

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

// ListWindow is the largest number of rows that a page of a filtered list reads. It bounds
// the cost of filters that no index supports: such a page ends after ListWindow rows, and
// the next page continues there.
const ListWindow = 2000

// Page is a part of a list, with the cursor of the next part.
type Page[T any] struct {
	Rows []T
	// Next is the cursor of the next page, empty on the last page.
	Next string
	// Partial reports that the page ended after ListWindow rows were read, before it
	// was full. A partial page may be empty without being the last.
	Partial bool
}

// paged makes a page of a list that was read with one row more than the page has. Without
// that extra row the list is at its end, unless the window was used up. Then the next page
// begins after the last row that was read, whose cursor last returns.
func paged[T any](list []T, limit int, usedUp bool, cursor func(T) string, last func() string) Page[T] {
	switch {
	case len(list) > limit:
		list = list[:limit]
		return Page[T]{Rows: list, Next: cursor(list[limit-1])}
	case usedUp:
		return Page[T]{Rows: list, Next: last(), Partial: true}
	default:
		return Page[T]{Rows: list}
	}
}

// errCursor reports a cursor that no page can have returned.
var errCursor = &wallet.Error{Code: wallet.CodeNotFound, Message: "This page of the list does not exist."}

// farFuture is later than any row and within the range of a timestamptz.
var farFuture = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// timeCursor returns the cursor of a row in a list that is sorted by a time and an id.
func timeCursor(at time.Time, id string) string {
	return strconv.FormatInt(at.UnixMicro(), 10) + "~" + id
}

func parseTimeCursor(cursor string) (time.Time, string, error) {
	stamp, id, ok := strings.Cut(cursor, "~")
	micros, err := strconv.ParseInt(stamp, 10, 64)
	if !ok || err != nil || micros < 0 || micros > farFuture.UnixMicro() {
		return time.Time{}, "", errCursor
	}
	return time.UnixMicro(micros), id, nil
}

// ignoreNoRows returns err, or nil if err is pgx.ErrNoRows.
func ignoreNoRows(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	return err
}

// rowsInto reads one result of a batch into a list, column by name.
func rowsInto[T any](list *[]T) func(pgx.Rows) error {
	return func(rows pgx.Rows) (err error) {
		*list, err = pgx.CollectRows(rows, pgx.RowToStructByName[T])
		return err
	}
}

// rowInto reads one result of a batch that has exactly one row.
func rowInto[T any](row *T) func(pgx.Rows) error {
	return func(rows pgx.Rows) (err error) {
		*row, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[T])
		return err
	}
}

// readBatch reads the results of a batch in their order and closes it.
func readBatch(results pgx.BatchResults, readers ...func(pgx.Rows) error) (err error) {
	defer func() { err = errors.Join(err, results.Close()) }()
	for _, read := range readers {
		rows, _ := results.Query()
		if err := read(rows); err != nil {
			return err
		}
	}
	return nil
}
