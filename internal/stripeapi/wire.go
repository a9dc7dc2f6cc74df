package stripeapi

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/stripe/stripe-go/v76"

	"github.com/fundrail/fundrail/internal/wallet"
)

// intent holds the fields of a PaymentIntent that are used.
type intent struct {
	stripe.APIResource

	ID                 string      `json:"id"`
	Amount             int64       `json:"amount"`
	AmountReceived     int64       `json:"amount_received"`
	CancellationReason string      `json:"cancellation_reason"`
	Created            int64       `json:"created"`
	Currency           string      `json:"currency"`
	Customer           ref         `json:"customer"`
	LastPaymentError   *problem    `json:"last_payment_error"`
	LatestCharge       ref         `json:"latest_charge"`
	Metadata           metadata    `json:"metadata"`
	NextAction         *nextAction `json:"next_action"`
	Status             string      `json:"status"`
}

type nextAction struct {
	Type          string `json:"type"`
	RedirectToURL *struct {
		URL string `json:"url"`
	} `json:"redirect_to_url"`
}

// problem is Stripe's error object, in an answer or as an intent's last error.
type problem struct {
	Type               string  `json:"type"`
	Code               string  `json:"code"`
	DeclineCode        string  `json:"decline_code"`
	Message            string  `json:"message"`
	Param              string  `json:"param"`
	Charge             ref     `json:"charge"`
	PaymentIntent      *intent `json:"payment_intent"`
	AdviceCode         string  `json:"advice_code"`
	NetworkAdviceCode  string  `json:"network_advice_code"`
	NetworkDeclineCode string  `json:"network_decline_code"`
}

// metadata holds the ids that the service writes into the objects it creates. Other
// programs can write any text there, so an invalid id counts as none.
type metadata struct {
	CustomerID     string `json:"customer_id"`
	OrganizationID string `json:"organization_id"`
	PaymentID      string `json:"payment_id"`
	RefundID       string `json:"refund_id"`
}

func parseID(s string) wallet.ID {
	id, err := uuid.Parse(s)
	if err != nil || len(s) != len("00000000-0000-0000-0000-000000000000") {
		return wallet.ID{}
	}
	return id
}

// ref is the id of an object. Stripe sends the id alone, the whole object where it
// is expanded, or null.
type ref string

// UnmarshalJSON implements json.Unmarshaler.
func (r *ref) UnmarshalJSON(b []byte) error {
	if b = bytes.TrimSpace(b); len(b) > 0 && b[0] == '{' {
		var object struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal(b, &object); err != nil {
			return err
		}
		*r = ref(object.ID)
		return nil
	}
	var id string // stays empty for null
	if err := json.Unmarshal(b, &id); err != nil {
		return err
	}
	*r = ref(id)
	return nil
}

// valid returns the id, or nothing if Stripe cannot have made it.
func (r ref) valid() string {
	if id := string(r); validID(id) {
		return id
	}
	return ""
}

func upper(currency string) wallet.Currency { return wallet.Currency(strings.ToUpper(currency)) }

// seconds converts Stripe's times. Zero means none.
func seconds(s int64) time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(s, 0).UTC()
}

// maxID is the longest id that Stripe promises to create.
const maxID = 255

// secretMark is part of every client secret, which otherwise looks like an id.
const secretMark = "_secret_"

// validID reports whether s can be an id of Stripe's. Ids become parts of paths,
// and an empty one would turn the path into that of the list.
func validID(s string) bool {
	return s != "" && len(s) <= maxID && !strings.Contains(s, secretMark) && strings.IndexFunc(s, notIDRune) < 0
}

func notIDRune(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-'
}

// word returns a code, a status or a request id if it has the form of one, and
// nothing otherwise. Any other text may contain a secret.
func word(s string) string {
	const longest = 80
	if len(s) > longest || strings.Contains(s, secretMark) || strings.IndexFunc(s, notWordRune) >= 0 {
		return ""
	}
	return s
}

func notWordRune(r rune) bool { return notIDRune(r) && r != '[' && r != ']' && r != '.' }
