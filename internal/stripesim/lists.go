package stripesim

import (
	"slices"
	"sort"
	"strconv"
	"time"
)

const (
	defaultLimit = 10
	maxLimit     = 100
)

// list is one page of objects.
type list struct {
	items []renderer
	more  bool
	url   string
}

func (l *list) appendJSON(b []byte, x *expander) []byte {
	w := enc{b: b}
	w.begin("object", "list")
	w.b = append(w.b, `,"data":[`...)
	items := x.forData()
	for i, it := range l.items {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.b = it.appendJSON(w.b, items)
	}
	w.b = append(w.b, ']')
	w.bool("has_more", l.more)
	w.str("url", l.url)
	w.end()
	return w.b
}

// page holds the paging parameters of a list request.
type page struct {
	after, before string // cursors
	limit         int
	min, max      int64 // creation time, inclusive
}

func (c *call) page() (page, *apiError) {
	limit, err := c.limit()
	if err != nil {
		return page{}, err
	}
	p := page{after: c.form.str("starting_after"), before: c.form.str("ending_before"), limit: limit}
	if p.after != "" && p.before != "" {
		return p, refused("", "starting_after", "You may only specify one of these parameters: starting_after, ending_before.")
	}
	p.min, p.max = 0, 1<<62
	created := c.form.at("created")
	if created == nil {
		return p, nil
	}
	if created.leaf {
		p.min = c.form.int("created")
		p.max = p.min
		return p, nil
	}
	for _, k := range created.kids {
		v, _ := strconv.ParseInt(k.val, 10, 64) // the parameter table has already checked it
		switch k.name {
		case "gt":
			p.min = max(p.min, v+1)
		case "gte":
			p.min = max(p.min, v)
		case "lt":
			p.max = min(p.max, v-1)
		case "lte":
			p.max = min(p.max, v)
		}
	}
	return p, nil
}

func (c *call) limit() (int, *apiError) {
	if !c.form.has("limit") {
		return defaultLimit, nil
	}
	n := c.form.int("limit")
	switch {
	case n < 1:
		return 0, refused("parameter_invalid_integer", "limit", "This value must be greater than or equal to 1.")
	case n > maxLimit:
		return 0, refused("parameter_invalid_integer", "limit", "This value must be less than or equal to 100.")
	}
	return int(n), nil
}

// listOf answers a list request, newest first. With an owner it reads only the
// owner's objects. It holds the lock only while it picks up the slice of cells. The
// slice can be read without the lock, because it is only appended to or replaced.
func listOf[T any, P snapshot[T]](c *call, t *table[T], kind, owner string, keep func(*T) bool,
	created func(*T) int64,
) (renderer, *apiError) {
	p, err := c.page()
	if err != nil {
		return nil, err
	}
	cells, cursor, err := pick(c, t, kind, owner, p)
	if err != nil {
		return nil, err
	}
	cutoff := c.s.clock.now().Add(-time.Duration(c.s.settings.listLag.Load())).UnixNano()
	if n := len(cells); n > 0 && cells[n-1].at > cutoff {
		cells = cells[:sort.Search(n, func(i int) bool { return cells[i].at > cutoff })]
	}
	l := &list{url: c.r.URL.Path, items: []renderer{}}
	add := func(ce *cell[T]) (full bool) {
		v := ce.cur.Load()
		if at := created(v); at < p.min || at > p.max || !keep(v) {
			return false
		}
		if len(l.items) == p.limit {
			l.more = true
			return true
		}
		l.items = append(l.items, P(v))
		return false
	}
	if p.before != "" {
		for _, ce := range cells[min(cursor, len(cells)):] {
			if add(ce) {
				break
			}
		}
		slices.Reverse(l.items)
		return l, nil
	}
	if p.after == "" {
		cursor = len(cells)
	}
	for i := min(cursor, len(cells)) - 1; i >= 0; i-- {
		if created(cells[i].cur.Load()) < p.min || add(cells[i]) {
			break
		}
	}
	return l, nil
}

// snapshot is a pointer to T that can be rendered.
type snapshot[T any] interface {
	*T
	renderer
}

// pick returns the cells to read and the index of the cursor in them. For
// starting_after it is the index of the cursor's object, for ending_before the
// index after it.
func pick[T any](c *call, t *table[T], kind, owner string, p page) (cells []*cell[T], cursor int, err *apiError) {
	c.acct.mu.Lock()
	defer c.acct.mu.Unlock()
	cells = t.order
	if owner != "" {
		cells = t.index[owner]
	}
	id, param := p.after, "starting_after"
	if p.before != "" {
		id, param = p.before, "ending_before"
	}
	if id == "" {
		return cells, 0, nil
	}
	at := t.byID[id]
	if at == nil {
		err = noSuch(kind, id, param)
		err.unstored = true
		return nil, 0, err
	}
	cursor = sort.Search(len(cells), func(i int) bool { return cells[i].seq >= at.seq })
	if p.before != "" && cursor < len(cells) && cells[cursor] == at {
		cursor++
	}
	return cells, cursor, nil
}

// all is a filter that accepts every object.
func all[T any](*T) bool { return true }
