package client

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Status is the state of a payment or a refund.
type Status string

// The states. Only StatusProcessing and StatusRequiresAction are not final, with
// one exception: money that is received after a failure is always credited.
const (
	// StatusProcessing means that the outcome is not known yet. The server
	// determines it without further requests.
	StatusProcessing Status = "processing"
	// StatusRequiresAction means that the bank asks the cardholder to authenticate,
	// at Payment.RedirectURL. If the cardholder does not, the payment is canceled
	// after some time.
	StatusRequiresAction Status = "requires_action"
	// StatusCompleted means that the money is in the wallet or, for a refund, sent
	// back to the card.
	StatusCompleted Status = "completed"
	StatusFailed    Status = "failed"
	StatusCanceled  Status = "canceled"
)

// Payment is one attempt to charge a card for the wallet.
type Payment struct {
	ID     string `json:"payment_id"`
	Status Status `json:"status"`
	// Amount is empty in the result of Fund, unless Fund had to poll.
	Amount          Amount `json:"amount"`
	PaymentMethodID string `json:"payment_method_id"`
	// Balance is the wallet's balance right after the payment was credited. It is
	// empty before.
	Balance Amount `json:"balance"`
	// RedirectURL is the page for the cardholder. It is empty unless the status is
	// StatusRequiresAction.
	RedirectURL string `json:"redirect_url"`
	// AmountRefunded and AmountDisputed are the amounts that were sent back. They
	// are empty for none.
	AmountRefunded Amount `json:"amount_refunded"`
	AmountDisputed Amount `json:"amount_disputed"`
	// Refunds is set only in the result of Client.Payment.
	Refunds []Refund `json:"refunds"`
	// Failure is the reason for which the payment failed, nil unless it did.
	Failure   *Failure  `json:"error"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// Failure is the reason for which a payment failed.
type Failure struct {
	Message     string `json:"message"`
	Code        string `json:"code"`
	Status      int    `json:"status"`
	DeclineCode string `json:"decline_code"`
}

// err returns the failure as an *Error, or nil if the payment has not failed.
func (p Payment) err() error {
	if p.Failure == nil {
		return nil
	}
	return &Error{
		Status: p.Failure.Status, Code: p.Failure.Code, Message: p.Failure.Message, DeclineCode: p.Failure.DeclineCode, PaymentID: p.ID,
	}
}

// FundRequest asks for money to be added to the wallet.
type FundRequest struct {
	// PaymentMethodID is the card to charge, one of PaymentMethods.
	PaymentMethodID string
	// Amount is in US dollars, such as "25.00". The description of the API at /docs has
	// its bounds.
	Amount Amount
	// IdempotencyKey identifies this request for 24 hours: a repeated request
	// returns the same payment. Empty means that the client generates one.
	IdempotencyKey string
}

// Fund charges a card. It returns when the money is in the wallet (StatusCompleted)
// or when the cardholder has to visit RedirectURL (StatusRequiresAction). In the
// second case, Await waits for the result.
//
// The error of a failed payment is an *Error whose method Declined returns true. If
// ctx ends or the server cannot be reached before the outcome is known, the error
// is a *PendingError, and the payment may still succeed.
func (c *Client) Fund(ctx context.Context, r FundRequest) (Payment, error) {
	key := or(r.IdempotencyKey, NewIdempotencyKey())
	body := struct {
		PaymentMethodID string `json:"payment_method_id"`
		Amount          Amount `json:"amount"`
	}{r.PaymentMethodID, r.Amount}
	var p Payment
	header, err := c.send(ctx, call{
		method: http.MethodPost, path: "/v1/wallet/fund", body: body, key: key, hold: c.wait,
	}, &p)
	if err != nil {
		return p, pending(err, key)
	}
	if p.Status != StatusProcessing {
		return p, p.err()
	}
	first, _ := retryAfter(header)
	later, err := c.await(ctx, p.ID, first, func(s Status) bool { return s != StatusProcessing })
	if err != nil {
		return p, &PendingError{IdempotencyKey: key, PaymentID: p.ID, Err: err}
	}
	return later, later.err()
}

// Await waits until a payment is final, including its challenge. It returns a
// payment with StatusCompleted without error. A failed or canceled payment is
// returned with the *Error that Fund would have returned. If ctx ends before the
// payment is final, the error is a *PendingError.
func (c *Client) Await(ctx context.Context, id string) (Payment, error) {
	p, err := c.await(ctx, id, 0, func(s Status) bool { return s != StatusProcessing && s != StatusRequiresAction })
	if e, refused := errors.AsType[*Error](err); refused && !again(e) {
		return p, err
	}
	if err != nil {
		return p, &PendingError{PaymentID: id, Err: err}
	}
	return p, p.err()
}

// await polls a payment until enough returns true for its status.
func (c *Client) await(ctx context.Context, id string, first time.Duration, enough func(Status) bool) (Payment, error) {
	var p Payment
	err := c.poll(ctx, first, func() (bool, error) {
		now, err := c.Payment(ctx, id)
		switch {
		case err == nil:
			p = now
			return enough(p.Status), nil
		case ctx.Err() != nil, !again(err):
			return true, err
		default:
			return false, nil // poll again until the server answers or the context ends
		}
	})
	return p, err
}

// Payment returns the current state of one of the wallet's payments, with its
// refunds.
func (c *Client) Payment(ctx context.Context, id string) (Payment, error) {
	var p Payment
	err := c.get(ctx, "/v1/payments/"+url.PathEscape(id), nil, &p)
	return p, err
}

// Page selects a page of a list.
type Page struct {
	// Limit is the size of the page, from 1 to 100. Zero means the server's
	// default, which is 10.
	Limit int
	// Cursor is the NextCursor of the previous page. It is empty for the first
	// page.
	Cursor string
}

func (p Page) query() url.Values {
	q := url.Values{}
	if p.Limit != 0 {
		q.Set("limit", strconv.Itoa(p.Limit))
	}
	if p.Cursor != "" {
		q.Set("cursor", p.Cursor)
	}
	return q
}

// List is one page of a list, newest first.
type List[T any] struct {
	Data    []T  `json:"data"`
	HasMore bool `json:"has_more"`
	// NextCursor is the cursor of the next page. It is empty on the last one.
	NextCursor string `json:"next_cursor"`
}

// Payments returns a page of the wallet's payments, newest first.
func (c *Client) Payments(ctx context.Context, p Page) (List[Payment], error) {
	var list List[Payment]
	err := c.get(ctx, "/v1/payments", p.query(), &list)
	return list, err
}

// AllPayments iterates over the wallet's payments, newest first. It requests pages
// as they are needed. It ends with the first error, which it yields.
func (c *Client) AllPayments(ctx context.Context) iter.Seq2[Payment, error] {
	return all(func(p Page) (List[Payment], error) { return c.Payments(ctx, p) })
}

// all iterates over all pages of a list.
func all[T any](load func(Page) (List[T], error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		p := Page{Limit: 100}
		for {
			list, err := load(p)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range list.Data {
				if !yield(item, nil) {
					return
				}
			}
			if !list.HasMore {
				return
			}
			p.Cursor = list.NextCursor
		}
	}
}

// Reason is why a payment is refunded, as Stripe's API spells it.
type Reason string

// The reasons for a refund.
const (
	ReasonDuplicate           Reason = "duplicate"
	ReasonFraudulent          Reason = "fraudulent"
	ReasonRequestedByCustomer Reason = "requested_by_customer"
)

// RefundRequest asks for money to be sent back to the card.
type RefundRequest struct {
	// Amount is the amount to refund. Empty means all that is left of the payment.
	Amount Amount
	// Force refunds the amount even if it has been spent, so that the balance
	// becomes negative.
	Force bool
	// Reason may be empty.
	Reason Reason
	// IdempotencyKey identifies this request for 24 hours. Empty means that the
	// client generates one.
	IdempotencyKey string
}

// Refund is an amount that is sent back to a card.
type Refund struct {
	ID        string `json:"refund_id"`
	PaymentID string `json:"payment_id"`
	// Status is StatusProcessing while Stripe or the bank processes the refund.
	Status        Status    `json:"status"`
	Amount        Amount    `json:"amount"`
	Reason        Reason    `json:"reason"`
	FailureReason string    `json:"failure_reason"`
	CreatedAt     time.Time `json:"created_at"`
}

// Refund sends money of a completed payment back to its card and removes it from
// the wallet. It returns when Stripe has accepted the refund. If Stripe does not
// answer in time, the status is StatusProcessing, and the server continues the
// refund.
func (c *Client) Refund(ctx context.Context, paymentID string, r RefundRequest) (Refund, error) {
	key := or(r.IdempotencyKey, NewIdempotencyKey())
	body := struct {
		Amount Amount `json:"amount,omitempty"`
		Force  bool   `json:"force,omitempty"`
		Reason Reason `json:"reason,omitempty"`
	}{r.Amount, r.Force, r.Reason}
	var made Refund
	_, err := c.send(ctx, call{
		method: http.MethodPost, path: "/v1/payments/" + url.PathEscape(paymentID) + "/refund", body: body, key: key, hold: c.wait,
	}, &made)
	return made, pending(err, key)
}
