// Package console lays out text for a person at a terminal: colors, tables and plural
// nouns. Whether there is a terminal is for its caller to find out.
package console

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Style is how a text looks, as an ANSI terminal numbers it.
type Style string

// The styles in use.
const (
	Bold  Style = "1"
	Faint Style = "2"
	Red   Style = "31"
	Green Style = "32"
	Cyan  Style = "36"
)

// Painter returns text in a style.
type Painter func(style Style, text string) string

// Colored is the Painter for a terminal.
func Colored(style Style, text string) string {
	if text == "" {
		return ""
	}
	return "\x1b[" + string(style) + "m" + text + "\x1b[0m"
}

// Plain is the Painter for everything else: it returns the text as it is.
func Plain(_ Style, text string) string { return text }

// PrintTable writes rows of cells in columns. The first row is the heading.
func PrintTable(w io.Writer, paint Painter, rows [][]string) error {
	var b bytes.Buffer
	columns := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		if _, err := fmt.Fprintln(columns, strings.Join(row, "\t")); err != nil {
			return err
		}
	}
	if err := columns.Flush(); err != nil {
		return err
	}
	heading, rest, _ := strings.Cut(b.String(), "\n")
	_, err := io.WriteString(w, paint(Bold, heading)+"\n"+rest)
	return err
}

// Plural returns a number with its noun, such as "1 wallet" or "2 wallets".
func Plural[N int | int64](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
