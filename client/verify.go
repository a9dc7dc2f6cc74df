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

// Why a delivery is refused. Answer 400 to it, and do nothing.
var (
	// ErrSignature means that none of the secrets made the signature.
	ErrSignature = errors.New("fundrail: the signature does not fit")
	// ErrTimestamp means that the delivery is too old, or from the future: somebody
	// may be playing it again, or a clock is wrong.
	ErrTimestamp = errors.New("fundrail: the delivery is too old, or from the future")
)

// DefaultTolerance is how far a delivery's time may be from now.
const DefaultTolerance = 5 * time.Minute

// Verifier finds out whether a delivery to an endpoint comes from Fundrail, by the
// signature of the Standard Webhooks specification, which deliveries have in every
// dialect. It may be used by several goroutines at once.
type Verifier struct {
	keys [][]byte
	// Tolerance is how far a delivery's time may be from Now, DefaultTolerance unless
	// given.
	Tolerance time.Duration
	// Now is the clock, the system's unless given.
	Now func() time.Time
}

// NewVerifier makes a verifier of an endpoint's secret, whsec_…. While a secret is
// being replaced, give both: what either of them has signed is accepted.
func NewVerifier(secrets ...string) (*Verifier, error) {
	if len(secrets) == 0 {
		return nil, errors.New("fundrail: there is no secret to verify with")
	}
	v := &Verifier{}
	for i, secret := range secrets {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		if err != nil || len(key) == 0 {
			return nil, fmt.Errorf("fundrail: secret %d is not one of an endpoint", i+1) // and is not shown
		}
		v.keys = append(v.keys, key)
	}
	return v, nil
}

// Event is something that happened, with what it happened to as it was then.
type Event struct {
	// ID is the same however often the event is delivered: handle each once.
	ID string `json:"id"`
	// Type is what happened, such as EventPaymentSucceeded.
	Type string `json:"type"`
	// Timestamp is when it happened.
	Timestamp time.Time `json:"timestamp"`
	// Sequence counts the events of the object in Data, from 1. They are delivered in
	// that order.
	Sequence int64 `json:"sequence"`
	// Data is the object: a payment, a wallet transaction or a wallet.
	Data json.RawMessage `json:"data"`
}

// What happens to payments. Wallets and their transactions have events as well.
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

// EventPayment is the payment in the events about one.
type EventPayment struct {
	ID                  string  `json:"payment_id"`
	WalletID            string  `json:"wallet_id"`
	WalletTransactionID string  `json:"wallet_transaction_id"`
	PaymentMethodID     string  `json:"payment_method_id"` // empty if a page took the payment
	ReferenceID         string  `json:"reference_id"`      // the merchant's id of the customer
	Status              Status  `json:"status"`
	Amount              Amount  `json:"amount"`
	Currency            string  `json:"currency"`
	Balance             *Amount `json:"balance"` // of the wallet right after, nil before
	// AmountBack is what went back, or came back again, with this event.
	AmountBack  Amount    `json:"amount_back"`
	RedirectURL string    `json:"redirect_url"`
	Failure     *Failure  `json:"error"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
}

// Payment decodes the payment of an event about one.
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

// Verify checks a delivery's signature and time, and decodes it. The body has to be
// the request's as it came, to the byte. The event is that of endpoints whose
// signature is SignatureStandard; of the others only ID is sure to be there, and the
// body has the rest in their dialect.
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

// signed tells whether one of the signatures was made with one of the keys.
func (v *Verifier) signed(signatures, prefix string, body []byte) bool {
	for signature := range strings.FieldsSeq(signatures) {
		encoded, ok := strings.CutPrefix(signature, "v1,")
		got, err := base64.StdEncoding.DecodeString(encoded)
		if !ok || err != nil {
			continue
		}
		for _, key := range v.keys {
			mac := hmac.New(sha256.New, key)
			mac.Write([]byte(prefix)) // never fails
			mac.Write(body)
			if hmac.Equal(mac.Sum(nil), got) {
				return true
			}
		}
	}
	return false
}
