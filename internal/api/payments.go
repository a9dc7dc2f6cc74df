package api

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/fundrail/fundrail/internal/postgres"
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

// listPayments answers GET /v1/payments: the wallet's payments, newest first.
// The cursor is the id of the last payment of the page before.
func (s *Server) listPayments(c echo.Context, caller postgres.Caller) error {
	req, issues := decodePageRequest(c.QueryParams(), wallet.PrefixPayment, caller.Mode)
	if issues != nil {
		return errQuerySchema(issues...)
	}
	// One more than asked for tells whether there are more.
	list, err := postgres.ListPayments(c.Request().Context(), s.DB, caller.WalletID, req.after, req.Limit+1)
	if err != nil {
		return err
	}
	answer := page[paymentResource]{Data: []paymentResource{}, HasMore: len(list) > req.Limit}
	if answer.HasMore {
		list = list[:req.Limit]
		next := spellPayment(list[len(list)-1])
		answer.NextCursor = &next
	}
	for _, p := range list {
		answer.Data = append(answer.Data, newPaymentResource(p, s.Now()))
	}
	return writeJSON(c, http.StatusOK, answer)
}

func decodePageRequest(query url.Values, prefix wallet.Prefix, mode wallet.Mode) (pageRequest, []Issue) {
	req := pageRequest{Limit: defaultPage}
	var issues []Issue
	if query.Has("limit") {
		limit, err := strconv.Atoi(query.Get("limit"))
		if err != nil {
			issues = append(issues, Issue{Path: []string{"limit"}, Message: "Expected integer"})
		} else {
			req.Limit = limit
		}
	}
	if rule, ok := brokenRules(req)["limit"]; ok {
		issues = append(issues, Issue{Path: []string{"limit"}, Message: ruleMessage(rule)})
	}
	if query.Has("cursor") {
		id, err := wallet.ParseID(prefix, mode, query.Get("cursor"))
		if err != nil {
			issues = append(issues, Issue{Path: []string{"cursor"}, Message: "Invalid cursor"})
		}
		req.after = id
	}
	return req, issues
}

// showPayment answers GET /v1/payments/{id}. Another wallet's payment looks like
// one that does not exist.
func (s *Server) showPayment(c echo.Context, caller postgres.Caller) error {
	p, err := s.findPayment(c, caller)
	if err != nil {
		return err
	}
	answer := newPaymentResource(p, s.Now())
	if p.Status == wallet.PaymentSucceeded {
		refunds, err := postgres.RefundsOf(c.Request().Context(), s.DB, p.ID)
		if err != nil {
			return err
		}
		for _, r := range refunds {
			answer.Refunds = append(answer.Refunds, newRefundResource(r))
		}
	}
	return writeJSON(c, http.StatusOK, answer)
}

// findPayment finds the caller's payment that the path names.
func (s *Server) findPayment(c echo.Context, caller postgres.Caller) (wallet.Payment, error) {
	id, err := wallet.ParseID(wallet.PrefixPayment, caller.Mode, c.Param("id"))
	if err != nil {
		return wallet.Payment{}, errPaymentNotFound()
	}
	p, err := postgres.GetPayment(c.Request().Context(), s.DB, id)
	if err == nil && p.WalletID != caller.WalletID {
		err = errPaymentNotFound()
	}
	if err == nil {
		c.Set(KeyPaymentID, p.ID.String())
	}
	return p, err
}
