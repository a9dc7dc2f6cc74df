package client

import (
	"context"
	"time"
)

// Wallet is the wallet of the API key.
type Wallet struct {
	ID string `json:"wallet_id"`
	// Balance can be spent now. It is negative if more was sent back than was left.
	Balance Amount `json:"balance"`
}

// Wallet returns the current state of the wallet.
func (c *Client) Wallet(ctx context.Context) (Wallet, error) {
	var w Wallet
	err := c.get(ctx, "/v1/wallet", nil, &w)
	return w, err
}

// PaymentMethod is a saved card of the wallet's customer.
type PaymentMethod struct {
	ID          string `json:"payment_method_id"`
	Brand       string `json:"brand"`
	Last4       string `json:"last4"`
	ExpiryMonth string `json:"expiry_month"` // two digits
	ExpiryYear  string `json:"expiry_year"`  // four
	IsDefault   bool   `json:"is_default"`
	// HasError reports whether the last charge of the card failed. The next three
	// fields describe the failure.
	HasError     bool       `json:"has_error"`
	ErrorCode    string     `json:"error_code"`
	ErrorMessage string     `json:"error_message"`
	ErrorAt      *time.Time `json:"error_at"`
}

// PaymentMethods returns the saved cards, the default first and then the newest
// first.
func (c *Client) PaymentMethods(ctx context.Context) ([]PaymentMethod, error) {
	var list List[PaymentMethod]
	err := c.get(ctx, "/v1/payment_methods", nil, &list)
	return list.Data, err
}
