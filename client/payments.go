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

// Status is where a payment or a refund stands.
type Status string

// The states. Only StatusProcessing and StatusRequiresAction can be left, with the
// exception that money which moved after all is always credited.
const (
	// StatusProcessing means that the outcome is not known yet. The server finds out.
	StatusProcessing Status = "processing"
	// StatusRequiresAction means that the bank wants to see the cardholder, at
	// Payment.RedirectURL. It ends by itself when nobody comes.
	StatusRequiresAction Status = "requires_action"
	// StatusCompleted means that the money is in the wallet, or back on the card.
	StatusCompleted Status = "completed"
	StatusFailed    Status = "failed"
	StatusCanceled  Status = "canceled"
)

// Payment is one attempt to charge a card for the wallet.
type Payment struct {
	ID     string `json:"payment_id"`
	Status Status `json:"status"`
	// Amount is empty in what Fund returns unless it had to ask again.
	Amount          Amount `json:"amount"`
	PaymentMethodID string `json:"payment_method_id"`
	// Balance is the wallet's right after the payment was credited, empty before.
	Balance Amount `json:"balance"`
	// RedirectURL is where the cardholder has to go, empty unless that is of use.
	RedirectURL string `json:"redirect_url"`
	// AmountRefunded and AmountDisputed are what went back, empty for nothing.
	AmountRefunded Amount `json:"amount_refunded"`
	AmountDisputed Amount `json:"amount_disputed"`
	// Refunds are there only in what Payment returns.
	Refunds []Refund `json:"refunds"`
	// Failure says why the payment failed, nil unless it did.
	Failure   *Failure  `json:"error"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// Failure is why a payment failed.
type Failure struct {
	Message     string `json:"message"`
	Code        string `json:"code"`
	Status      int    `json:"status"`
	DeclineCode string `json:"decline_code"`
}

// err is the payment's failure as the error that Fund returns, nil if it has not
// failed.
func (p Payment) err() error {
	if p.Failure == nil {
		return nil
	}
	return &Error{
		Status: p.Failure.Status, Code: p.Failure.Code, Message: p.Failure.Message, DeclineCode: p.Failure.DeclineCode, PaymentID: p.ID,
	}
}

// FundRequest asks for money to be put into the wallet.
type FundRequest struct {
	// PaymentMethodID names the card to charge, one of PaymentMethods.
	PaymentMethodID string
	// Amount is in US dollars, such as "25.00". The description of the API at /docs has
	// its bounds.
	Amount Amount
	// IdempotencyKey stands for this request for 24 hours: the same one again finds
	// its payment. It is made by the client unless given.
	IdempotencyKey string
}

// Fund charges a card and returns once the money is in the wallet
// (StatusCompleted) or the cardholder has to be sent to RedirectURL
// (StatusRequiresAction); Await then waits for what comes of that.
//
// A payment that fails is an *Error whose Declined is true. If ctx ends or the
// server cannot be reached before the outcome is known, it is a *PendingError, and
// the payment may still be made.
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

// Await waits until a payment has ended: it returns one that is StatusCompleted,
// and one that failed or was canceled together with the *Error that Fund would
// have returned. A challenge is waited for too. If ctx ends before the payment
// does, the error is a *PendingError.
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

// await asks for a payment until its state is enough.
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
			return false, nil // the server comes back, or the context ends
		}
	})
	return p, err
}

// Payment is a payment of the wallet as it stands, with its refunds.
func (c *Client) Payment(ctx context.Context, id string) (Payment, error) {
	var p Payment
	err := c.get(ctx, "/v1/payments/"+url.PathEscape(id), nil, &p)
	return p, err
}

// Page asks for a part of a list.
type Page struct {
	// Limit is how many, from 1 to 100; 0 leaves it to the server, which takes 10.
	Limit int
	// Cursor is List.NextCursor of the page before, empty for the first page.
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

// List is a page of a list, the newest first.
type List[T any] struct {
	Data    []T  `json:"data"`
	HasMore bool `json:"has_more"`
	// NextCursor leads to the next page, empty on the last one.
	NextCursor string `json:"next_cursor"`
}

// Payments is a page of the wallet's payments, the newest first.
func (c *Client) Payments(ctx context.Context, p Page) (List[Payment], error) {
	var list List[Payment]
	err := c.get(ctx, "/v1/payments", p.query(), &list)
	return list, err
}

// AllPayments goes through the wallet's payments, the newest first, and asks for
// pages as they are needed. It ends with the first error.
func (c *Client) AllPayments(ctx context.Context) iter.Seq2[Payment, error] {
	return all(func(p Page) (List[Payment], error) { return c.Payments(ctx, p) })
}

// all goes through the pages of a list.
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

// Reason is why money is sent back, in Stripe's words.
type Reason string

// The reasons.
const (
	ReasonDuplicate           Reason = "duplicate"
	ReasonFraudulent          Reason = "fraudulent"
	ReasonRequestedByCustomer Reason = "requested_by_customer"
)

// RefundRequest asks for money to be sent back to the card.
type RefundRequest struct {
	// Amount is how much; the empty one is all that is left of the payment.
	Amount Amount
	// Force sends it back even if it was spent, and the balance falls below zero.
	Force bool
	// Reason may be empty.
	Reason Reason
	// IdempotencyKey stands for this request for 24 hours. It is made by the client
	// unless given.
	IdempotencyKey string
}

// Refund is money that goes back to a card.
type Refund struct {
	ID        string `json:"refund_id"`
	PaymentID string `json:"payment_id"`
	// Status is StatusProcessing while Stripe or the bank works on it.
	Status        Status    `json:"status"`
	Amount        Amount    `json:"amount"`
	Reason        Reason    `json:"reason"`
	FailureReason string    `json:"failure_reason"`
	CreatedAt     time.Time `json:"created_at"`
}

// Refund sends money of a completed payment back to its card and takes it out of
// the wallet. It returns as soon as Stripe has it, or with StatusProcessing when
// Stripe does not answer in time: a refund goes on by itself.
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
