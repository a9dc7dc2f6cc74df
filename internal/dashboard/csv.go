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
	// pageSize is how many rows a page of a list has.
	pageSize = 50
	// csvPage is how many rows a download reads at once, and maxCSV where it ends.
	csvPage = 1000
	maxCSV  = 100_000
)

// wantsCSV reports whether the list is wanted as a file.
func (r *request) wantsCSV() bool { return r.QueryParam("format") == "csv" }

// writeCSV sends a whole list as a file. It reads page by page, so that the list is never
// in memory as a whole. An error after the first page cuts the file short.
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
	_ = w.Write(header) // Flush reports it
	for n := 0; ; {
		for _, item := range page.Rows {
			cells := row(item)
			for i, cell := range cells {
				cells[i] = inert(cell)
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

// inert keeps a spreadsheet from evaluating a cell's text as a formula.
func inert(cell string) string {
	if cell == "" || !strings.ContainsRune("=+-@\t\r", rune(cell[0])) || strings.Trim(cell, "+-0123456789.") == "" {
		return cell
	}
	return "'" + cell
}

// csvTime writes a time for a file, empty when there is none.
func csvTime(v any) string {
	t, ok := asTime(v)
	if !ok {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
