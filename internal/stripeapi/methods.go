package stripeapi

import (
	"context"
	"net/http"

	"github.com/stripe/stripe-go/v76"
)

const methodsPath = "/v1/payment_methods"

// PaymentMethod is a saved payment method. The card's fields are empty if Type is
// not card.
type PaymentMethod struct {
	ID string
	// CustomerID is Stripe's id of the customer that it is attached to. It is empty
	// when it is attached to none.
	CustomerID string
	// Type is Stripe's type, such as card.
	Type        string
	Brand       string
	Last4       string
	ExpiryMonth int
	ExpiryYear  int
	// Fingerprint identifies the card number. It is the same for all customers who
	// save that card.
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

func (p *paymentMethod) id() string     { return p.ID }
func (p *paymentMethod) complete() bool { return validID(p.ID) }

func (p *paymentMethod) domain() PaymentMethod {
	m := PaymentMethod{ID: p.ID, CustomerID: p.Customer.valid(), Type: p.Type}
	if p.Card != nil {
		m.Brand, m.Last4, m.Fingerprint = p.Card.Brand, p.Card.Last4, p.Card.Fingerprint
		m.ExpiryMonth, m.ExpiryYear = p.Card.ExpMonth, p.Card.ExpYear
	}
	return m
}

// GetPaymentMethod reads a payment method. For an unknown one the error satisfies
// IsNotFound.
func (c *Client) GetPaymentMethod(ctx context.Context, id string) (PaymentMethod, error) {
	return c.callMethod(ctx, "get_payment_method", http.MethodGet, "/%s", id, nil)
}

// AttachPaymentMethod attaches a payment method to a customer, so that later
// payments can use it. An *Error of kind declined means that the bank refused the
// card.
func (c *Client) AttachPaymentMethod(ctx context.Context, id, customerID string) (PaymentMethod, error) {
	const op = "attach_payment_method"
	if !validID(customerID) {
		return PaymentMethod{}, invalid(op, "no customer id")
	}
	params := &stripe.PaymentMethodAttachParams{Customer: &customerID}
	return c.callMethod(ctx, op, http.MethodPost, "/%s/attach", id, params)
}

// DetachPaymentMethod detaches a payment method from its customer. It can never be
// used again.
func (c *Client) DetachPaymentMethod(ctx context.Context, id string) (PaymentMethod, error) {
	return c.callMethod(ctx, "detach_payment_method", http.MethodPost, "/%s/detach", id, nil)
}

// ListPaymentMethods returns a customer's cards, newest first.
func (c *Client) ListPaymentMethods(ctx context.Context, customerID string) ([]PaymentMethod, error) {
	const op = "list_payment_methods"
	if !validID(customerID) {
		return nil, invalid(op, "no customer id")
	}
	params := &stripe.PaymentMethodListParams{
		Customer:   &customerID,
		ListParams: listParams(),
		Type:       new(string(stripe.PaymentMethodTypeCard)),
	}
	return collect(convert(each[paymentMethod](ctx, c, op, methodsPath, params), (*paymentMethod).domain))
}

// callMethod makes a call that answers with a payment method.
func (c *Client) callMethod(ctx context.Context, op, verb, path, id string, params any) (PaymentMethod, error) {
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
