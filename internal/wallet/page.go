package wallet

// DefaultPageSize is the number of rows of a page if the request does not say.
const DefaultPageSize = 100

// maxPageSize keeps one request from reading a whole table.
const maxPageSize = 1000

// Page is the part of a list that a request asks for. Numbers begin at 1. A number
// below 1 counts as 1, and a size below 1 as DefaultPageSize.
type Page struct {
	Number int
	Size   int
}

// Bounds returns the largest number of rows of the page, and the number of rows before
// it.
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

// PageMeta is the position of a page in its list, as the Lago dialect shows it.
type PageMeta struct {
	CurrentPage int  `json:"current_page"`
	NextPage    *int `json:"next_page"`
	PrevPage    *int `json:"prev_page"`
	TotalPages  int  `json:"total_pages"`
	TotalCount  int  `json:"total_count"`
}

// Meta returns the position of the page in a list of total rows. An empty list has no
// page, so its current page is 0. A page behind the end has no neighbours.
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
