package postgres

import (
	"fmt"
	"reflect"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

// columnsOf turns rows into the named parameters of a statement that writes all
// of them at once. T is a struct. Each field with the tag `db:"name"` becomes the
// parameter name, whose value is the slice of that field over all rows, in their
// order. Fields without the tag are left out. A field that may be null is a pointer. The
// statement turns the parameters into rows again, one name a line:
//
//	select
//	    unnest(@id::uuid[]) as id,
//	    unnest(@amount::bigint[]) as amount
//
// pgx sets a parameter that it does not find in NamedArgs to null. Converting the
// result to pgx.StrictNamedArgs makes that an error, and a parameter that the
// statement does not use as well.
//
// Without rows the slices are empty, not nil, because a nil slice is null.
func columnsOf[T any](rows []T) pgx.NamedArgs {
	columns := pgx.NamedArgs{}
	values := reflect.ValueOf(rows)
	for _, field := range reflect.VisibleFields(reflect.TypeFor[T]()) {
		name := field.Tag.Get("db")
		if name == "" || name == "-" {
			continue
		}
		if _, taken := columns[name]; taken {
			panic(fmt.Sprintf("columnsOf: two fields of %s have the name %q", reflect.TypeFor[T](), name))
		}
		column := reflect.MakeSlice(reflect.SliceOf(field.Type), len(rows), len(rows))
		for i := range rows {
			column.Index(i).Set(values.Index(i).FieldByIndex(field.Index))
		}
		columns[name] = column.Interface()
	}
	return columns
}

// orZero returns *v, or the zero value if v is nil. It is the opposite of nullable.From.
func orZero[T any](v *T) T {
	if v == nil {
		var zero T
		return zero
	}
	return *v
}

// idOrNew returns an id, or a new one in the place of zero.
func idOrNew(id wallet.ID) wallet.ID {
	if id == (wallet.ID{}) {
		return wallet.NewID()
	}
	return id
}

// asStored is a time as it is read back from the database, which keeps microseconds.
func asStored(t time.Time) time.Time { return t.Truncate(time.Microsecond).Local() }
