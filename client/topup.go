package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// TopUpRequest asks for credits in any wallet of the organization, in Lago's
// dialect. At least one of the three amounts of credits is required.
type TopUpRequest struct {
	// WalletID is the wallet's UUID.
	WalletID string `json:"wallet_id"`
	// PaidCredits are bought, GrantedCredits are given for free, and VoidedCredits
	// are removed. They are decimals such as "20.0". The wallet's rate is the price
	// of one credit.
	PaidCredits    string `json:"paid_credits,omitempty"`
	GrantedCredits string `json:"granted_credits,omitempty"`
	VoidedCredits  string `json:"voided_credits,omitempty"`
	// Name is shown on the wallet's statement and on the invoice. It may be empty.
	Name string `json:"name,omitempty"`
	// PaymentMethod is how the purchase is paid. Nil means the wallet's payment
	// method, or else the customer's default.
	PaymentMethod *TopUpMethod `json:"payment_method,omitempty"`
	// Metadata holds up to 15 pairs.
	Metadata []Pair `json:"metadata,omitempty"`
	// IdempotencyKey identifies this request for 24 hours. Empty means that the
	// client generates one.
	IdempotencyKey string `json:"-"`
}

// TopUpMethod is how a purchase is paid.
type TopUpMethod struct {
	// Type is "provider", or "manual", which charges no card.
	Type string `json:"payment_method_type"`
	// ID is the UUID of a saved card. Empty means the default card.
	ID string `json:"payment_method_id,omitempty"`
}

// Pair is an entry of metadata.
type Pair struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// WalletTransaction is a transaction of a wallet, in Lago's dialect.
type WalletTransaction struct {
	ID        string `json:"lago_id"`
	WalletID  string `json:"lago_wallet_id"`
	InvoiceID string `json:"lago_invoice_id"`
	// Status is pending, settled or failed.
	Status string `json:"status"`
	// Kind is purchased, granted, voided or invoiced.
	Kind string `json:"transaction_status"`
	// Direction is inbound or outbound.
	Direction string `json:"transaction_type"`
	// Amount is in the wallet's currency and CreditAmount in credits. Both are
	// decimals with at least one digit after the point.
	Amount       string     `json:"amount"`
	CreditAmount string     `json:"credit_amount"`
	Name         string     `json:"name"`
	CreatedAt    time.Time  `json:"created_at"`
	SettledAt    *time.Time `json:"settled_at"`
	FailedAt     *time.Time `json:"failed_at"`
	// RedirectURL is the page on which the cardholder has to authenticate, and
	// PaymentID the payment that waits for it. Both are empty unless a payment
	// waits.
	RedirectURL string `json:"redirect_url"`
	PaymentID   string `json:"payment_id"`
}

// TopUp creates the requested wallet transactions, all or none. It returns them in
// the order purchased, granted, voided. It waits for the outcome of a purchase for
// up to Config.Wait. The purchase is then settled, failed or still pending.
// Client.WalletTransaction returns its later state. If no answer is received, the
// error is a *PendingError.
func (c *Client) TopUp(ctx context.Context, r TopUpRequest) ([]WalletTransaction, error) {
	key := or(r.IdempotencyKey, NewIdempotencyKey())
	body := struct {
		Root TopUpRequest `json:"wallet_transaction"`
	}{r}
	var answer struct {
		List []WalletTransaction `json:"wallet_transactions"`
	}
	_, err := c.send(ctx, call{
		method: http.MethodPost, path: "/api/v1/wallet_transactions", body: body, key: key, hold: c.wait,
	}, &answer)
	return answer.List, pending(err, key)
}

// WalletTransaction returns the current state of a wallet transaction.
func (c *Client) WalletTransaction(ctx context.Context, id string) (WalletTransaction, error) {
	var answer struct {
		One WalletTransaction `json:"wallet_transaction"`
	}
	err := c.get(ctx, "/api/v1/wallet_transactions/"+url.PathEscape(id), nil, &answer)
	return answer.One, err
}

// PaymentURL returns the address of a page on which the cardholder can pay for a
// pending or failed purchase.
func (c *Client) PaymentURL(ctx context.Context, transactionID string) (string, error) {
	var answer struct {
		Details struct {
			URL string `json:"payment_url"`
		} `json:"wallet_transaction_payment_details"`
	}
	_, err := c.send(ctx, call{
		method: http.MethodPost, path: "/api/v1/wallet_transactions/" + url.PathEscape(transactionID) + "/payment_url", hold: -1,
	}, &answer)
	return answer.Details.URL, err
}
