package postgres

import (
	"embed"
	"fmt"
	"strings"
)

//go:embed *.sql
var sqlFiles embed.FS

// statement gives a statement of an embedded file by the name in the line
// "-- name: …" above it. Each {{name}} in the statement is replaced by the text
// that follows the name in fragments: a list of columns, or the end that several
// statements share. It panics when there is no such statement, because it is called
// for variables of the package only.
func statement(file, name string, fragments ...string) string {
	text, err := sqlFiles.ReadFile(file)
	if err != nil {
		panic(err)
	}
	for part := range strings.SplitSeq(string(text), "-- name: ") {
		title, body, _ := strings.Cut(part, "\n")
		if strings.TrimSpace(title) != name {
			continue
		}
		for i := 0; i+1 < len(fragments); i += 2 {
			body = strings.ReplaceAll(body, "{{"+fragments[i]+"}}", fragments[i+1])
		}
		return strings.TrimSuffix(strings.TrimSpace(body), ";")
	}
	panic(fmt.Sprintf("%s has no statement named %s", file, name))
}
