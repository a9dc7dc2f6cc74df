package wallet

// DefaultPageSize is how many rows a page has when nobody asked otherwise.
const DefaultPageSize = 100

// maxPageSize keeps one request from reading a table.
const maxPageSize = 1000

// Page is which part of a list is asked for. Numbers begin at 1; what is below
// counts as 1, and a size below 1 as DefaultPageSize.
type Page struct {
	Number int
	Size   int
}

// Bounds are the rows of the page: how many at most, and how many to leave out
// before them.
func (p Page) Bounds() (limit, offset int64) {
	p = p.normal()
	return int64(p.Size), int64(p.Number-1) * int64(p.Size)
}

func (p Page) normal() Page {
	const furthest = 1_000_000_000
	if p.Size < 1 {
		p.Size = DefaultPageSize
	}
	return Page{Number: min(max(p.Number, 1), furthest), Size: min(p.Size, maxPageSize)}
}

// PageMeta tells where a page stands in its list, as the Lago dialect does.
type PageMeta struct {
	CurrentPage int  `json:"current_page"`
	NextPage    *int `json:"next_page"`
	PrevPage    *int `json:"prev_page"`
	TotalPages  int  `json:"total_pages"`
	TotalCount  int  `json:"total_count"`
}

// Meta is the meta of a page in a list of total rows. An empty list has no page,
// so its current one is 0; a page behind the end has no neighbours.
func (p Page) Meta(total int) PageMeta {
	if total == 0 {
		return PageMeta{}
	}
	p = p.normal()
	m := PageMeta{CurrentPage: p.Number, TotalPages: (total + p.Size - 1) / p.Size, TotalCount: total}
	if p.Number < m.TotalPages {
		next := p.Number + 1
		m.NextPage = &next
	}
	if p.Number > 1 && p.Number <= m.TotalPages {
		prev := p.Number - 1
		m.PrevPage = &prev
	}
	return m
}
