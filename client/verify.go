package client

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The errors of a delivery that must be refused. Answer it with status 400 and
// ignore its content.
var (
	// ErrSignature means that no secret of the verifier made the signature.
	ErrSignature = errors.New("fundrail: the signature does not match")
	// ErrTimestamp means that the delivery's timestamp is too far from the current
	// time. The delivery may be a replay, or a clock may be wrong.
	ErrTimestamp = errors.New("fundrail: the delivery's timestamp is too old or in the future")
)

// DefaultTolerance is the default of Verifier.Tolerance.
const DefaultTolerance = 5 * time.Minute

// Verifier verifies that deliveries come from Fundrail, by the signature of the
// Standard Webhooks specification. Deliveries in every dialect have that signature.
// A Verifier is safe for concurrent use.
type Verifier struct {
	keys [][]byte
	// Tolerance is the maximum difference between a delivery's timestamp and Now.
	// Zero means DefaultTolerance.
	Tolerance time.Duration
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

// NewVerifier returns a verifier for an endpoint's secret, whsec_…. While a secret
// is being replaced, pass both: a signature by either is accepted.
func NewVerifier(secrets ...string) (*Verifier, error) {
	if len(secrets) == 0 {
		return nil, errors.New("fundrail: no secret")
	}
	v := &Verifier{}
	for i, secret := range secrets {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		if err != nil || len(key) == 0 {
			return nil, fmt.Errorf("fundrail: secret %d is not an endpoint's secret", i+1) // the error must not show the secret
		}
		v.keys = append(v.keys, key)
	}
	return v, nil
}

// Event is an event with a snapshot of its object.
type Event struct {
	// ID identifies the event. An event can be delivered several times, so handle
	// each ID once.
	ID string `json:"id"`
	// Type is the event's type, such as EventPaymentSucceeded.
	Type string `json:"type"`
	// Timestamp is when the event happened.
	Timestamp time.Time `json:"timestamp"`
	// Sequence numbers the events of the object in Data, from 1. They are delivered
	// in that order.
	Sequence int64 `json:"sequence"`
	// Data is the object: a payment, a wallet transaction or a wallet.
	Data json.RawMessage `json:"data"`
}

// The types of events about payments, and one about wallets. There are more for
// wallets and their transactions.
const (
	EventPaymentCanceled        = "payment.canceled"
	EventPaymentDisputed        = "payment.disputed"
	EventPaymentDisputeReversed = "payment.dispute_reversed"
	EventPaymentFailed          = "payment.failed"
	EventPaymentRefunded        = "payment.refunded"
	EventPaymentRefundReversed  = "payment.refund_reversed"
	EventPaymentRequiresAction  = "payment.requires_action"
	EventPaymentSucceeded       = "payment.succeeded"
	EventWalletBalanceUpdated   = "wallet.balance_updated"
)

// EventPayment is the payment in an event about a payment.
type EventPayment struct {
	ID                  string  `json:"payment_id"`
	WalletID            string  `json:"wallet_id"`
	WalletTransactionID string  `json:"wallet_transaction_id"`
	PaymentMethodID     string  `json:"payment_method_id"` // empty if the payment was made on a checkout page
	ReferenceID         string  `json:"reference_id"`      // the merchant's id of the customer
	Status              Status  `json:"status"`
	Amount              Amount  `json:"amount"`
	Currency            string  `json:"currency"`
	Balance             *Amount `json:"balance"` // the wallet's balance right after the credit, nil before
	// AmountBack is the amount that this event sent back, or returned to the
	// wallet.
	AmountBack  Amount    `json:"amount_back"`
	RedirectURL string    `json:"redirect_url"`
	Failure     *Failure  `json:"error"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
}

// Payment decodes the payment of an event about a payment.
func (e Event) Payment() (EventPayment, error) {
	var p EventPayment
	if !strings.HasPrefix(e.Type, "payment.") {
		return p, fmt.Errorf("fundrail: %s is not about a payment", e.Type)
	}
	if err := json.Unmarshal(e.Data, &p); err != nil {
		return p, fmt.Errorf("fundrail: payment of %s: %w", e.ID, err)
	}
	return p, nil
}

// Verify checks a delivery's signature and timestamp and decodes its event. The
// body must be unchanged, byte for byte. The event is complete for endpoints with
// SignatureStandard. For other endpoints only its ID is always set, and the rest is
// in the body in their dialect.
func (v *Verifier) Verify(header http.Header, body []byte) (Event, error) {
	id, timestamp := header.Get("webhook-id"), header.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if id == "" || err != nil {
		return Event{}, fmt.Errorf("%w: a header is missing", ErrSignature)
	}
	if !v.signed(header.Get("webhook-signature"), id+"."+timestamp+".", body) {
		return Event{}, ErrSignature
	}
	now := time.Now
	if v.Now != nil {
		now = v.Now
	}
	if age := now().Sub(time.Unix(seconds, 0)).Abs(); age > or(v.Tolerance, DefaultTolerance) {
		return Event{}, ErrTimestamp
	}
	e := Event{}
	if err := json.Unmarshal(body, &e); err != nil {
		return e, fmt.Errorf("fundrail: event %s: %w", id, err)
	}
	e.ID = id
	return e, nil
}

// signed reports whether one of the signatures was made with one of the keys.
func (v *Verifier) signed(signatures, prefix string, body []byte) bool {
	for signature := range strings.FieldsSeq(signatures) {
		encoded, ok := strings.CutPrefix(signature, "v1,")
		got, err := base64.StdEncoding.DecodeString(encoded)
		if !ok || err != nil {
			continue
		}
		for _, key := range v.keys {
			mac := hmac.New(sha256.New, key)
			mac.Write([]byte(prefix)) // a hash's Write never fails
			mac.Write(body)
			if hmac.Equal(mac.Sum(nil), got) {
				return true
			}
		}
	}
	return false
}
