package pgproxy

import (
	"regexp"
	"strings"
)

// kind is what a statement does to the transaction.
type kind int

const (
	other kind = iota
	begin
	commit
	rollback // the whole transaction
	rollbackToSavepoint
	write
)

// statement is a statement and its kind.
type statement struct {
	sql  string
	kind kind
}

var (
	// A select that calls a function which writes can't be told from one that reads.
	writing = regexp.MustCompile(`(?i)^(insert|update|delete|merge|truncate|create|alter|drop|grant|revoke|comment|reindex|refresh|call|do)\b`)
	// The parts of a with statement, or of an explained one, may write.
	writingInside = regexp.MustCompile(`(?i)\b(insert|update|delete|merge)\b`)
	copyFrom      = regexp.MustCompile(`(?is)^copy\b.*\bfrom\b`)
	toSavepoint   = regexp.MustCompile(`(?i)^rollback\s+((work|transaction)\s+)?to\b`)
	twoPhase      = regexp.MustCompile(`(?i)^(prepare\s+transaction|(commit|rollback)\s+prepared)\b`)
	firstWord     = regexp.MustCompile(`^\pL+`)
)

// classify finds out the kind of one statement.
func classify(sql string) statement {
	text := skipBlank(sql)
	st := statement{sql: sql}
	switch strings.ToLower(firstWord.FindString(text)) {
	case "begin", "start":
		st.kind = begin
	case "commit", "end":
		st.kind = commit
	case "rollback", "abort":
		st.kind = rollback
		if toSavepoint.MatchString(text) {
			st.kind = rollbackToSavepoint
		}
	case "with", "explain":
		if writingInside.MatchString(text) {
			st.kind = write
		}
	case "copy":
		if copyFrom.MatchString(text) {
			st.kind = write
		}
	default:
		if writing.MatchString(text) {
			st.kind = write
		}
	}
	if twoPhase.MatchString(text) {
		st.kind = twoPhaseKind(text)
	}
	return st
}

// twoPhaseKind is the kind of a statement of a two-phase commit: its first phase
// ends the transaction without a commit, and COMMIT PREPARED commits outside one.
func twoPhaseKind(text string) kind {
	switch text[0] | 0x20 {
	case 'p':
		return rollback
	case 'c':
		return write
	default:
		return other
	}
}

// split cuts a simple query into its statements.
func split(sql string) []statement {
	var statements []statement
	for sql = skipBlank(sql); sql != ""; sql = skipBlank(sql) {
		if sql[0] == ';' {
			sql = sql[1:]
			continue
		}
		n := statementLen(sql)
		statements = append(statements, classify(sql[:n]))
		sql = sql[n:]
	}
	return statements
}

// statementLen is the length of the first statement, without its semicolon.
func statementLen(sql string) int {
	for n := 0; n < len(sql); {
		switch {
		case sql[n] == ';':
			return n
		case sql[n] == '\'':
			escapes := n > 0 && sql[n-1]|0x20 == 'e' && (n == 1 || !isWord(sql[n-2]))
			n += quotedLen(sql[n:], escapes)
		case sql[n] == '"':
			n += quotedLen(sql[n:], false)
		case sql[n] == '$' && (n == 0 || !isWord(sql[n-1])):
			n += dollarLen(sql[n:])
		case strings.HasPrefix(sql[n:], "--"), strings.HasPrefix(sql[n:], "/*"):
			n += commentLen(sql[n:])
		default:
			n++
		}
	}
	return len(sql)
}

// quotedLen is the length of a quoted text with its quotes. A doubled quote reads
// as two texts, which has the same end.
func quotedLen(sql string, escapes bool) int {
	for n := 1; n < len(sql); n++ {
		switch {
		case sql[n] == sql[0]:
			return n + 1
		case escapes && sql[n] == '\\':
			n++
		}
	}
	return len(sql)
}

var dollarTag = regexp.MustCompile(`^\$(\pL[\pL\d_]*|_[\pL\d_]*)?\$`)

// dollarLen is the length of a dollar-quoted text, or 1 for another dollar sign.
func dollarLen(sql string) int {
	tag := dollarTag.FindString(sql)
	if tag == "" {
		return 1
	}
	end := strings.Index(sql[len(tag):], tag)
	if end < 0 {
		return len(sql)
	}
	return len(tag) + end + len(tag)
}

// commentLen is the length of a comment. Comments between slashes nest.
func commentLen(sql string) int {
	if sql[0] == '-' {
		if end := strings.IndexByte(sql, '\n'); end >= 0 {
			return end + 1
		}
		return len(sql)
	}
	depth := 0
	for n := 0; n < len(sql); {
		switch {
		case strings.HasPrefix(sql[n:], "/*"):
			depth++
			n += 2
		case strings.HasPrefix(sql[n:], "*/"):
			n += 2
			if depth--; depth == 0 {
				return n
			}
		default:
			n++
		}
	}
	return len(sql)
}

// skipBlank cuts leading white space, comments and parentheses.
func skipBlank(sql string) string {
	for {
		sql = strings.TrimLeft(sql, " \t\r\n\f\v(")
		if !strings.HasPrefix(sql, "--") && !strings.HasPrefix(sql, "/*") {
			return sql
		}
		sql = sql[commentLen(sql):]
	}
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || c >= 0x80
}
