package stripesim

import "strings"

// expander answers, while an object is written, which references the caller
// wants as objects. A nil expander expands nothing.
type expander struct {
	acct  *account
	paths []string
}

// newExpander returns nil when there is nothing to expand.
func newExpander(a *account, paths []string) *expander {
	if len(paths) == 0 {
		return nil
	}
	return &expander{acct: a, paths: paths}
}

// forData is the expander for the items of a list, whose paths start with "data.".
func (x *expander) forData() *expander {
	sub, _ := x.wants("data")
	return sub
}

// flat drops the paths: nested snapshots are written as they are.
func (x *expander) flat() *expander { return nil }

// wants reports whether field is to be expanded, and what of it further down.
func (x *expander) wants(field string) (*expander, bool) {
	if x == nil {
		return nil, false
	}
	var sub []string
	found := false
	for _, p := range x.paths {
		head, rest, nested := strings.Cut(p, ".")
		if head != field {
			continue
		}
		found = true
		if nested {
			sub = append(sub, rest)
		}
	}
	return newExpander(x.acct, sub), found
}

// find looks an object up by the prefix of its id.
func (x *expander) find(id string) renderer { return x.acct.lookup(id) }
