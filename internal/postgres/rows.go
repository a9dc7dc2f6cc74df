package postgres

import (
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

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
// Without rows the slices are empty, not nil, because a nil slice is null.
func columnsOf[T any](rows []T) params {
	columns := columnsOfType(reflect.TypeFor[T]())
	all := make(params, len(columns)+1) // most statements have one more, such as the time
	values := reflect.ValueOf(rows)
	for _, c := range columns {
		list := reflect.MakeSlice(c.list, len(rows), len(rows))
		for i := range rows {
			list.Index(i).Set(values.Index(i).FieldByIndex(c.index))
		}
		all[c.name] = list.Interface()
	}
	return all
}

// column is a field of a row that a statement takes.
type column struct {
	name  string
	index []int        // of the field in its struct
	list  reflect.Type // a slice of the field's type
}

// columnsByType has the columns of the types that were written so far.
var columnsByType sync.Map

func columnsOfType(row reflect.Type) []column {
	if known, ok := columnsByType.Load(row); ok {
		return known.([]column)
	}
	var columns []column
	for _, field := range reflect.VisibleFields(row) {
		name := field.Tag.Get("db")
		if name == "" || name == "-" {
			continue
		}
		if slices.ContainsFunc(columns, func(c column) bool { return c.name == name }) {
			panic(fmt.Sprintf("columnsOf: two fields of %s have the name %q", row, name))
		}
		columns = append(columns, column{name: name, index: field.Index, list: reflect.SliceOf(field.Type)})
	}
	columnsByType.Store(row, columns)
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
