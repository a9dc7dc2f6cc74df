package views

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

// ListWindow is how many rows a page of a filtered list looks at, at most. Filters
// that no index serves cost that much and no more: the page then says how far it
// looked, and the next one goes on from there.
const ListWindow = 2000

// Page is a part of a list, and where the next part begins.
type Page[T any] struct {
	Rows []T
	// Next is the cursor of the next page, empty at the end of the list.
	Next string
	// Partial tells that the page ended because it had looked at ListWindow rows,
	// not because it was full. It may be empty and yet not the last one.
	Partial bool
}

// paged cuts a list that was asked for one row more than the page has. Without
// that row the list is at its end, unless the window was used up: then the next
// page goes on after the last row that was looked at.
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

// errCursor reports a cursor that no page has given out.
var errCursor = &wallet.Error{Code: wallet.CodeNotFound, Message: "This page of the list does not exist."}

// farFuture is later than any row, and within what Postgres can compare.
var farFuture = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// timeCursor names a row of a list that is sorted by a time and then by an id.
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

// ignoreNoRows turns the absence of a row into no error.
func ignoreNoRows(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	return err
}
