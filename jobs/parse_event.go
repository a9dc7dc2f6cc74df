package jobs

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// The errors of ParseEvent.
var (
	ErrNotAnEvent = errors.New("not a Stripe event")
	ErrOtherMode  = errors.New("event of the other mode")
)

// envelope is the part of an event that identifies its payment. The rest of the body is
// stored but never used, because an event is not trusted.
type envelope struct {
	APIVersion string `json:"api_version"`
	Created    int64  `json:"created"`
	Data       struct {
		Object struct {
			ID            string          `json:"id"`
			Metadata      json.RawMessage `json:"metadata"`
			Object        string          `json:"object"`
			PaymentIntent json.RawMessage `json:"payment_intent"`
		} `json:"object"`
	} `json:"data"`
	ID       string `json:"id"`
	Livemode bool   `json:"livemode"`
	Object   string `json:"object"`
	Type     string `json:"type"`
}

// ParseEvent parses an event from a webhook or from Stripe's list of events. mode is that
// of the webhook secret or of the API key. The error wraps ErrOtherMode for an event of
// the other mode, and ErrNotAnEvent for a body that is not an event.
func ParseEvent(body []byte, mode wallet.Mode) (Intake, error) {
	var e envelope
	if err := json.Unmarshal(body, &e); err != nil {
		return Intake{}, fmt.Errorf("%w: %w", ErrNotAnEvent, err)
	}
	if e.Object != "event" || e.ID == "" || e.Type == "" ||
		!storable(e.ID) || !storable(e.Type) || !storable(e.Data.Object.ID) || !storable(e.APIVersion) {
		return Intake{}, ErrNotAnEvent
	}
	const latest = 1 << 33 // the year 2242; far later times do not fit a timestamp
	if e.Created < 0 || e.Created > latest {
		return Intake{}, ErrNotAnEvent
	}
	if e.Livemode != (mode == wallet.ModeLive) {
		return Intake{}, fmt.Errorf("%w: %s", ErrOtherMode, e.ID)
	}
	event := postgres.Event{
		APIVersion: e.APIVersion,
		Body:       body,
		CreatedAt:  time.Unix(e.Created, 0).UTC(),
		ID:         e.ID,
		Mode:       mode,
		ObjectID:   e.Data.Object.ID,
		PaymentID:  e.paymentID(),
		Status:     postgres.EventIgnored,
		Type:       e.Type,
	}
	event.StripePaymentIntentID = e.intentID()
	if actsOn(e.Type) && event.StripePaymentIntentID != "" {
		event.Status = postgres.EventPending
	}
	return Intake{Event: event, IgnorableWhenFinal: strings.HasPrefix(e.Type, "payment_intent.")}, nil
}

// intentID returns the id of the event's intent: of its object, or of the intent that
// the object refers to by id or in expanded form. It is empty when there is none.
func (e *envelope) intentID() string {
	o := e.Data.Object
	if o.Object == "payment_intent" {
		return o.ID
	}
	var id string
	if json.Unmarshal(o.PaymentIntent, &id) == nil {
		return storableOrEmpty(id)
	}
	var expanded struct {
		ID string `json:"id"`
	}
	if json.Unmarshal(o.PaymentIntent, &expanded) == nil {
		return storableOrEmpty(expanded.ID)
	}
	return ""
}

// paymentID returns the payment id in the object's metadata. It is zero when there is
// none.
func (e *envelope) paymentID() wallet.ID {
	var metadata struct {
		PaymentID string `json:"payment_id"`
	}
	if json.Unmarshal(e.Data.Object.Metadata, &metadata) != nil {
		return wallet.ID{}
	}
	id, err := uuid.Parse(metadata.PaymentID)
	if err != nil {
		return wallet.ID{}
	}
	return id
}

// storable reports whether the database can store an id or type. Stripe's have at most
// 255 characters.
func storable(s string) bool {
	const longest = 255
	return len(s) <= longest && !strings.ContainsRune(s, 0)
}

func storableOrEmpty(id string) string {
	if !storable(id) {
		return ""
	}
	return id
}
