package postgres

// ColumnsOf exports columnsOf to the tests of this package. They are in an external test
// package, because testdb imports this package.
func ColumnsOf[T any](rows []T) params { return columnsOf(rows) }

// Sent exports sent to the tests of this package.
func Sent(err error) error { return sent(err) }
