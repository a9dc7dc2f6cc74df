package testfactory

import (
	_ "embed"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/wallet"
)

//go:embed distinct.sql
var distinctRows string

// DistinctRows stores rows whose columns have distinct values, as distinct.sql lists
// them. DistinctID and DistinctTime return the ids and times of that file. A row's books
// do not add up.
func DistinctRows(tb testing.TB, db DB) {
	tb.Helper()
	exec(tb, db, distinctRows)
}

// DistinctID returns the id that distinct.sql writes as pg_temp.id(n).
func DistinctID(n int) wallet.ID {
	return uuid.MustParse(fmt.Sprintf("00000000-0000-7000-8000-%012d", n))
}

// DistinctTime returns the time that distinct.sql writes as pg_temp.at(n).
func DistinctTime(n int) time.Time {
	return time.Date(2026, time.January, 1, n, 0, 0, 0, time.UTC)
}

// RequireDistinct checks that no two fields of a struct have values that a row could
// exchange: the same text, number, time or id. Only then does comparing such a struct
// notice that fields have changed places. It ignores booleans, nil pointers and the fields
// that except names.
func RequireDistinct(tb testing.TB, row any, except ...string) {
	tb.Helper()

	seen := map[string]string{}
	for _, name := range except {
		seen[name] = ""
	}
	var visit func(v reflect.Value)
	visit = func(v reflect.Value) {
		for i := range v.NumField() {
			field, value := v.Type().Field(i), reflect.Indirect(v.Field(i))
			if field.Anonymous {
				visit(value)
				continue
			}
			if _, excepted := seen[field.Name]; excepted || !value.IsValid() || value.Kind() == reflect.Bool {
				continue
			}
			kind := value.Type().String()
			switch {
			case value.CanInt():
				kind = "number"
			case value.Kind() == reflect.String:
				kind = "text"
			}
			key := fmt.Sprintf("%s %v", kind, value.Interface())
			require.NotContains(tb, seen, key, "field %s has the value of another", field.Name)
			seen[key] = field.Name
		}
	}
	visit(reflect.ValueOf(row))
}
