package postgres

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

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
