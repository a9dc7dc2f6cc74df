package dashboard

import (
	"encoding/csv"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fundrail/fundrail/internal/postgres/views"
)

const (
	// pageSize is the number of rows on a page of a list.
	pageSize = 50
	// csvPage is the number of rows that a download reads at once, and maxCSV the largest
	// number of rows in a file.
	csvPage = 1000
	maxCSV  = 100_000
)

// wantsCSV reports whether the request asks for the list as a CSV file.
func (r *request) wantsCSV() bool { return r.QueryParam("format") == "csv" }

// writeCSV writes a whole list as a CSV file. It reads the list page by page, because the
// whole list may not fit in memory. An error after the first page truncates the file.
func writeCSV[T any](r *request, name string, header []string, fetch func(cursor string) (views.Page[T], error), row func(T) []string) error {
	page, err := fetch("")
	if err != nil {
		return err
	}
	h := r.Response().Header()
	h.Set(echo.HeaderContentType, "text/csv; charset=utf-8")
	h.Set(echo.HeaderContentDisposition,
		`attachment; filename="`+name+"-"+string(r.mode)+"-"+r.now.UTC().Format("20060102-150405")+`.csv"`)
	r.Response().WriteHeader(http.StatusOK)
	w := csv.NewWriter(r.Response())
	_ = w.Write(header) // w.Error reports an error
	for n := 0; ; {
		for _, item := range page.Rows {
			cells := row(item)
			for i, cell := range cells {
				cells[i] = escapeFormula(cell)
			}
			_ = w.Write(cells)
		}
		w.Flush()
		if err := w.Error(); err != nil {
			return err
		}
		n += len(page.Rows)
		if page.Next == "" || n >= maxCSV {
			return nil
		}
		if page, err = fetch(page.Next); err != nil {
			return err
		}
	}
}

// escapeFormula quotes a cell that a spreadsheet would evaluate as a formula. Numbers stay
// as they are.
func escapeFormula(cell string) string {
	if cell == "" || !strings.ContainsRune("=+-@\t\r", rune(cell[0])) || strings.Trim(cell, "+-0123456789.") == "" {
		return cell
	}
	return "'" + cell
}

// csvTime formats a time for a CSV file. It returns "" for a zero or nil time.
func csvTime(v any) string {
	t, ok := asTime(v)
	if !ok {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
