package stripeapi

import (
	"context"
	"iter"
	"net/http"
	"time"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/form"
)

// pageSize is Stripe's maximum.
const pageSize = 100

// Window is a period by Stripe's clock, in whole seconds. A zero Since or Until
// leaves that side open.
type Window struct {
	Since time.Time // inclusive
	Until time.Time // exclusive
}

func (w Window) params() *stripe.RangeQueryParams {
	if w.Since.IsZero() && w.Until.IsZero() {
		return nil
	}
	params := new(stripe.RangeQueryParams)
	if !w.Since.IsZero() {
		params.GreaterThanOrEqual = w.Since.Unix()
	}
	if !w.Until.IsZero() {
		params.LesserThan = w.Until.Unix()
	}
	return params
}

func listParams() stripe.ListParams { return stripe.ListParams{Limit: new(int64(pageSize))} }

// element is a pointer to an object of a list. Its id is the cursor for the next
// page.
type element[T any] interface {
	*T
	id() string
}

// page is one page of a list, newest first. Data holds values and not pointers,
// because a null in the answer would decode as a nil pointer.
type page[T any, P element[T]] struct {
	stripe.APIResource

	Object  string `json:"object"`
	Data    []T    `json:"data"`
	HasMore bool   `json:"has_more"`
}

// complete reports whether the answer is a list whose objects have ids, and whether
// a page that announces more has a last id to continue after.
func (p *page[T, P]) complete() bool {
	if p.Object != "list" || p.Data == nil {
		return false
	}
	for i := range p.Data {
		if !validID(p.at(i).id()) {
			return false
		}
	}
	return len(p.Data) > 0 || !p.HasMore
}

// newest and oldest return the cursors of the pages before and after this one.
func (p *page[T, P]) newest() string { return p.at(0).id() }
func (p *page[T, P]) oldest() string { return p.at(len(p.Data) - 1).id() }

func (p *page[T, P]) at(i int) P { return &p.Data[i] }

// getPage requests one page of a list.
func getPage[T any, P element[T]](ctx context.Context, c *Client, op, path string, body *form.Values) (*page[T, P], error) {
	p := new(page[T, P])
	if _, err := c.send(ctx, request{op: op, method: http.MethodGet, path: path}, body, p); err != nil {
		return nil, err
	}
	return p, nil
}

// each iterates over all pages of a list, newest first. It ends at the first error,
// which it yields.
func each[T any, P element[T]](ctx context.Context, c *Client, op, path string, params any) iter.Seq2[P, error] {
	return func(yield func(P, error) bool) {
		body := encode(params)
		for cursor := ""; ; {
			p, err := getPage[T, P](ctx, c, op, path, body)
			if err == nil && p.HasMore && p.oldest() == cursor {
				err = repeatedPage(op)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			for i := range p.Data {
				if !yield(p.at(i), nil) {
					return
				}
			}
			if !p.HasMore {
				return
			}
			cursor = p.oldest()
			body.Set(stripe.StartingAfter, cursor)
		}
	}
}

// convert maps the elements of a list to domain values.
func convert[T, D any](list iter.Seq2[T, error], domain func(T) D) iter.Seq2[D, error] {
	return func(yield func(D, error) bool) {
		for item, err := range list {
			if err != nil {
				var none D
				yield(none, err)
				return
			}
			if !yield(domain(item), nil) {
				return
			}
		}
	}
}

// collect returns the whole list, or the error that ended it.
func collect[T any](list iter.Seq2[T, error]) ([]T, error) {
	var all []T
	for item, err := range list {
		if err != nil {
			return nil, err
		}
		all = append(all, item)
	}
	return all, nil
}

// repeatedPage is the error of a list whose next page is the same again.
func repeatedPage(op string) error { return unreadable(op, &exchange{status: http.StatusOK}) }
