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

// What can be wrong with the body of an event.
var (
	ErrNotAnEvent = errors.New("not a Stripe event")
	ErrOtherMode  = errors.New("event of the other mode")
)

// envelope is as much of an event as is needed to know what it is about. The
// rest is kept, but not believed.
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

// ParseEvent reads an event whose signature belongs to mode, whether it came by
// webhook or from Stripe's list of events. It returns ErrOtherMode for an event
// of the other mode, and ErrNotAnEvent for anything that is no event.
func ParseEvent(body []byte, mode wallet.Mode) (Intake, error) {
	var e envelope
	if err := json.Unmarshal(body, &e); err != nil {
		return Intake{}, fmt.Errorf("%w: %w", ErrNotAnEvent, err)
	}
	const longest = 255 // of any id or type at Stripe
	if e.Object != "event" || e.ID == "" || len(e.ID) > longest || e.Type == "" || len(e.Type) > longest ||
		len(e.Data.Object.ID) > longest || len(e.APIVersion) > longest || strings.ContainsRune(e.ID+e.Type+e.Data.Object.ID+e.APIVersion, 0) {
		return Intake{}, ErrNotAnEvent
	}
	const latest = 1 << 33 // the year 2242; far later ones do not fit a timestamp
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
	return Intake{Event: event, Needless: strings.HasPrefix(e.Type, "payment_intent.")}, nil
}

// intentID finds the intent that the event is about: its object, or the one that
// its object belongs to, as an id or expanded.
func (e *envelope) intentID() string {
	o := e.Data.Object
	if o.Object == "payment_intent" {
		return o.ID
	}
	var id string
	if json.Unmarshal(o.PaymentIntent, &id) == nil {
		return bounded(id)
	}
	var expanded struct {
		ID string `json:"id"`
	}
	if json.Unmarshal(o.PaymentIntent, &expanded) == nil {
		return bounded(expanded.ID)
	}
	return ""
}

// paymentID reads our id from the object's metadata; zero when there is none.
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

func bounded(id string) string {
	const longest = 255
	if len(id) > longest || strings.ContainsRune(id, 0) {
		return ""
	}
	return id
}
