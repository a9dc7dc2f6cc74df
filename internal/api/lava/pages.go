package lava

import (
	"net/url"
	"strconv"

	"github.com/fundrail/fundrail/internal/api"
	"github.com/fundrail/fundrail/internal/wallet"
)

// page is one page of a list. NextCursor is null on the last one.
type page[T any] struct {
	Data       []T     `json:"data"`
	HasMore    bool    `json:"has_more"`
	NextCursor *string `json:"next_cursor"`
}

// pageRequest is which page a caller asks for.
type pageRequest struct {
	Limit int `json:"limit" validate:"min=1,max=100"`
	after wallet.ID
}

const defaultPage = 10

func decodePageRequest(query url.Values, prefix wallet.Prefix, mode wallet.Mode) (pageRequest, []api.Issue) {
	req := pageRequest{Limit: defaultPage}
	var issues []api.Issue
	if query.Has("limit") {
		limit, err := strconv.Atoi(query.Get("limit"))
		if err != nil {
			issues = append(issues, api.Issue{Path: []string{"limit"}, Message: "Expected integer"})
		} else {
			req.Limit = limit
		}
	}
	if rule, ok := brokenRules(req)["limit"]; ok {
		issues = append(issues, api.Issue{Path: []string{"limit"}, Message: ruleMessage(rule)})
	}
	if query.Has("cursor") {
		id, err := wallet.ParseID(prefix, mode, query.Get("cursor"))
		if err != nil {
			issues = append(issues, api.Issue{Path: []string{"cursor"}, Message: "Invalid cursor"})
		}
		req.after = id
	}
	return req, issues
}

// newPage makes a page from a list of up to limit+1 rows. One row too many means that
// there is another page.
func newPage[T, R any](list []T, limit int, show func(T) R, id func(R) string) page[R] {
	p := page[R]{Data: []R{}, HasMore: len(list) > limit}
	for _, v := range list[:min(len(list), limit)] {
		p.Data = append(p.Data, show(v))
	}
	if p.HasMore {
		next := id(p.Data[len(p.Data)-1])
		p.NextCursor = &next
	}
	return p
}
