package postgres

import (
	"context"
	"errors"
	"fmt"
)

// PlaceTestMarker marks a new database as a test database, in which test settings are
// allowed. The marker is a table that no migration creates, with a text that only the tests
// know.
func PlaceTestMarker(ctx context.Context, db DB, marker string) error {
	_, err := db.Exec(ctx, `create table fundrail_test_marker (marker text not null)`)
	if err == nil {
		_, err = db.Exec(ctx, `insert into fundrail_test_marker values ($1)`, marker)
	}
	if err != nil {
		return fmt.Errorf("place test marker: %w", err)
	}
	return nil
}

// CheckTestMarker returns an error unless the database has the marker.
func CheckTestMarker(ctx context.Context, db DB, marker string) error {
	var placed bool
	err := db.QueryRow(ctx, `select to_regclass('fundrail_test_marker') is not null`).Scan(&placed)
	if err == nil && placed {
		err = db.QueryRow(ctx, `select count(*) = 1 and bool_and(marker = $1) from fundrail_test_marker`, marker).Scan(&placed)
	}
	if err != nil {
		return fmt.Errorf("look for the test marker: %w", err)
	}
	if !placed {
		return errors.New("test settings are refused: the database does not have the marker of FUNDRAIL_TEST_MARKER")
	}
	return nil
}
