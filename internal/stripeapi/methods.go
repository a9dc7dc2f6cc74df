package stripeapi

import (
	"context"
	"net/http"

	"github.com/stripe/stripe-go/v76"
)

const methodsPath = "/v1/payment_methods"

// PaymentMethod is what Stripe says of a saved payment method. The card's fields
// are empty for methods that are no cards.
type PaymentMethod struct {
	ID string
	// CustomerID is Stripe's id of the customer it is attached to, empty when it
	// is attached to none.
	CustomerID string
	// Type is Stripe's word, such as card.
	Type        string
	Brand       string
	Last4       string
	ExpiryMonth int
	ExpiryYear  int
	// Fingerprint is the same for the same card number, whoever saved it.
	Fingerprint string
}

type paymentMethod struct {
	stripe.APIResource

	ID       string `json:"id"`
	Customer ref    `json:"customer"`
	Type     string `json:"type"`
	Card     *struct {
		Brand       string `json:"brand"`
		ExpMonth    int    `json:"exp_month"`
		ExpYear     int    `json:"exp_year"`
		Fingerprint string `json:"fingerprint"`
		Last4       string `json:"last4"`
	} `json:"card"`
}

func (p *paymentMethod) domain() PaymentMethod {
	m := PaymentMethod{ID: p.ID, CustomerID: string(p.Customer), Type: p.Type}
	if p.Card != nil {
		m.Brand, m.Last4, m.Fingerprint = p.Card.Brand, p.Card.Last4, p.Card.Fingerprint
		m.ExpiryMonth, m.ExpiryYear = p.Card.ExpMonth, p.Card.ExpYear
	}
	return m
}

// GetPaymentMethod reads a payment method. IsNotFound tells when there is none.
func (c *Client) GetPaymentMethod(ctx context.Context, id string) (PaymentMethod, error) {
	return c.askMethod(ctx, "get_payment_method", http.MethodGet, "/%s", id, nil)
}

// askMethod makes a call about one payment method that answers with it.
func (c *Client) askMethod(ctx context.Context, op, verb, path, id string, params any) (PaymentMethod, error) {
	if !validID(id) {
		return PaymentMethod{}, invalid(op, "no payment method id")
	}
	method := new(paymentMethod)
	err := c.call(ctx, request{
		op: op, method: verb, path: stripe.FormatURLPath(methodsPath+path, id), params: params,
	}, method)
	if err != nil {
		return PaymentMethod{}, err
	}
	return method.domain(), nil
}
