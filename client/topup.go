package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// TopUpRequest asks for credits in any wallet of the organization, in Lago's
// dialect. At least one of the three amounts of credits has to be there.
type TopUpRequest struct {
	// WalletID is a UUID.
	WalletID string `json:"wallet_id"`
	// PaidCredits are charged for, GrantedCredits given and VoidedCredits taken out,
	// as decimals such as "20.0". A credit costs what the wallet's rate says.
	PaidCredits    string `json:"paid_credits,omitempty"`
	GrantedCredits string `json:"granted_credits,omitempty"`
	VoidedCredits  string `json:"voided_credits,omitempty"`
	// Name is shown on the statement and the invoice. It may be empty.
	Name string `json:"name,omitempty"`
	// PaymentMethod is the card to charge, nil for the wallet's, or else the
	// customer's default.
	PaymentMethod *TopUpMethod `json:"payment_method,omitempty"`
	// Metadata are up to 15 pairs.
	Metadata []Pair `json:"metadata,omitempty"`
	// IdempotencyKey stands for this request for 24 hours. It is made by the client
	// unless given.
	IdempotencyKey string `json:"-"`
}

// TopUpMethod says how a purchase is paid.
type TopUpMethod struct {
	// Type is provider, or manual, which charges nobody.
	Type string `json:"payment_method_type"`
	// ID is the UUID of a saved card, empty for the default.
	ID string `json:"payment_method_id,omitempty"`
}

// Pair is an entry of metadata.
type Pair struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// WalletTransaction is a line of a wallet's statement, in Lago's dialect.
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
	// Amount is in the wallet's currency, CreditAmount in credits, both as decimals
	// with at least one digit behind the point.
	Amount       string     `json:"amount"`
	CreditAmount string     `json:"credit_amount"`
	Name         string     `json:"name"`
	CreatedAt    time.Time  `json:"created_at"`
	SettledAt    *time.Time `json:"settled_at"`
	FailedAt     *time.Time `json:"failed_at"`
	// RedirectURL is where the cardholder has to go, and PaymentID the payment that
	// waits for them; both are empty unless there is one.
	RedirectURL string `json:"redirect_url"`
	PaymentID   string `json:"payment_id"`
}

// TopUp makes the wallet transactions that are asked for, all or none, and returns
// them in the order purchased, granted, voided. A purchase is waited for, as long as
// Config.Wait says: it is settled, failed, or still pending, in which case
// WalletTransaction tells later. If the answer got lost for good it is a
// *PendingError.
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

// WalletTransaction is a wallet transaction as it stands.
func (c *Client) WalletTransaction(ctx context.Context, id string) (WalletTransaction, error) {
	var answer struct {
		One WalletTransaction `json:"wallet_transaction"`
	}
	err := c.get(ctx, "/api/v1/wallet_transactions/"+url.PathEscape(id), nil, &answer)
	return answer.One, err
}

// PaymentURL is the address of a page on which the cardholder can pay for a
// purchase that is pending or has failed.
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
