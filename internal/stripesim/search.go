package stripesim

import (
	"strconv"
	"strings"
	"time"
)

const searchParams = commonParams + `
limit int
page str
query! str
`

// searchResult is one page of search results.
type searchResult struct {
	items []renderer
	next  string
	url   string
}

func (r *searchResult) appendJSON(b []byte, x *expander) []byte {
	w := enc{b: b}
	w.begin("object", "search_result")
	w.b = append(w.b, `,"data":[`...)
	items := x.forData()
	for i, it := range r.items {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.b = it.appendJSON(w.b, items)
	}
	w.b = append(w.b, ']')
	w.bool("has_more", r.next != "")
	w.opt("next_page", r.next)
	w.str("url", r.url)
	w.end()
	return w.b
}

// clause is one comparison of a search query.
type clause struct {
	field  string
	key    string // of metadata
	negate bool
	op     byte // ':', '~', '<', '>', 'l' for <=, 'g' for >=
	val    string
}

// query is a list of clauses. All must hold, or with any at least one.
type query struct {
	any     bool
	clauses []clause
}

// parseQuery parses Stripe's search language: field:'value', field>1,
// metadata['key']:'value' and -negation, joined by AND (or a space) or by OR.
func parseQuery(s string) (query, bool) {
	var q query
	ands := 0
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		upper := strings.ToUpper(s)
		switch {
		case strings.HasPrefix(upper, "AND "):
			ands++
			s = s[4:]
			continue
		case strings.HasPrefix(upper, "OR "):
			q.any = true
			s = s[3:]
			continue
		}
		c, rest, ok := parseClause(s)
		if !ok {
			return q, false
		}
		q.clauses = append(q.clauses, c)
		s = rest
	}
	return q, len(q.clauses) > 0 && (!q.any || ands == 0)
}

func parseClause(s string) (c clause, rest string, ok bool) {
	s, c.negate = strings.CutPrefix(s, "-")
	end := strings.IndexAny(s, "[:~<>")
	if end <= 0 {
		return c, "", false
	}
	c.field, s = s[:end], s[end:]
	if s[0] == '[' {
		if c.key, s, ok = quoted(s[1:]); !ok || !strings.HasPrefix(s, "]") {
			return c, "", false
		}
		s = s[1:]
	}
	if s == "" {
		return c, "", false
	}
	c.op, s = s[0], s[1:]
	if strings.HasPrefix(s, "=") {
		c.op, s = map[byte]byte{'<': 'l', '>': 'g'}[c.op], s[1:]
	}
	if strings.HasPrefix(s, "'") || strings.HasPrefix(s, `"`) {
		c.val, rest, ok = quoted(s)
		return c, rest, ok
	}
	c.val, rest, _ = strings.Cut(s, " ")
	return c, rest, c.val != "" && c.op != 0
}

// quoted parses a quoted string with backslash escapes.
func quoted(s string) (val, rest string, ok bool) {
	if s == "" || s[0] != '\'' && s[0] != '"' {
		return "", "", false
	}
	quote := s[0]
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case s[i] == quote:
			return b.String(), s[i+1:], true
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", false
}

// known reports whether the clause can be used for PaymentIntents.
func (c *clause) known() bool {
	switch c.field {
	case "metadata":
		return c.key != ""
	case "amount", "created":
		_, err := strconv.ParseInt(c.val, 10, 64)
		return err == nil
	case "currency", "customer", "status":
		return c.op == ':'
	}
	return false
}

func (c *clause) holds(pi *Intent) bool {
	ok := false
	switch c.field {
	case "amount":
		ok = c.compare(pi.Amount)
	case "created":
		ok = c.compare(pi.Created)
	case "currency":
		ok = strings.EqualFold(c.val, pi.Currency)
	case "customer":
		ok = c.val == pi.Customer
	case "metadata":
		got := pi.Metadata.Get(c.key)
		ok = got == c.val && got != "" || c.op == '~' && strings.Contains(got, c.val)
	case "status":
		ok = c.val == pi.Status
	}
	return ok != c.negate
}

func (c *clause) compare(got int64) bool {
	want, _ := strconv.ParseInt(c.val, 10, 64) // known has already checked it
	switch c.op {
	case '<':
		return got < want
	case '>':
		return got > want
	case 'l':
		return got <= want
	case 'g':
		return got >= want
	}
	return got == want
}

func (q *query) holds(pi *Intent) bool {
	for i := range q.clauses {
		if q.clauses[i].holds(pi) == q.any {
			return q.any
		}
	}
	return !q.any
}

// searchIntents answers GET /v1/payment_intents/search. Its results lag by
// SearchLag, as Stripe's lag by an unknown time.
func (c *call) searchIntents() (renderer, *apiError) {
	q, ok := parseQuery(c.form.str("query"))
	for i := range q.clauses {
		ok = ok && q.clauses[i].known()
	}
	if !ok {
		return nil, refused("", "query", "We were unable to parse your search query. See "+
			"https://stripe.com/docs/search#search-query-language for the query language.")
	}
	limit, err := c.limit()
	if err != nil {
		return nil, err
	}
	var cells []*cell[Intent]
	c.acct.read(func() { cells = c.acct.intents.order })
	from := len(cells)
	if p := c.form.str("page"); p != "" {
		n, convErr := strconv.Atoi(p)
		if convErr != nil || n < 0 || n > len(cells) {
			return nil, refused("", "page", "Invalid page.")
		}
		from = n
	}
	cutoff := c.s.clock.now().Add(-time.Duration(c.s.settings.searchLag.Load())).UnixNano()
	res := &searchResult{url: c.r.URL.Path}
	for i := from - 1; i >= 0; i-- {
		pi := cells[i].cur.Load()
		if cells[i].at > cutoff || !q.holds(pi) {
			continue
		}
		if len(res.items) == limit {
			res.next = strconv.Itoa(i + 1)
			break
		}
		res.items = append(res.items, pi)
	}
	return res, nil
}
