package stripesim

import (
	"encoding/json"
	"slices"
	"strings"
)

// The snapshots in this file are immutable: a change makes a copy. They hold only
// what varies, and their appendJSON methods add the fields that are constant. The
// json tags are for the state file and the control API, not for Stripe's API.

// Metadata is an object's metadata, sorted by key.
type Metadata []Pair

// Pair is one entry of Metadata.
type Pair struct{ Key, Value string }

// Get returns the value of a key, or "".
func (m Metadata) Get(key string) string {
	if i, ok := m.find(key); ok {
		return m[i].Value
	}
	return ""
}

func (m Metadata) find(key string) (int, bool) {
	return slices.BinarySearchFunc(m, key, func(p Pair, k string) int { return strings.Compare(p.Key, k) })
}

// merge applies an update as Stripe does: key by key, where an empty value removes
// the key.
func (m Metadata) merge(changes []Pair) Metadata {
	out := slices.Clone(m)
	for _, c := range changes {
		i, ok := out.find(c.Key)
		switch {
		case ok && c.Value == "":
			out = slices.Delete(out, i, i+1)
		case ok:
			out[i].Value = c.Value
		case c.Value != "":
			out = slices.Insert(out, i, c)
		}
	}
	return out
}

func (m Metadata) appendJSON(b []byte) []byte {
	b = append(b, '{')
	for i, p := range m {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, p.Key), ':')
		b = appendString(b, p.Value)
	}
	return append(b, '}')
}

// MarshalJSON implements [json.Marshaler].
func (m Metadata) MarshalJSON() ([]byte, error) { return m.appendJSON(nil), nil }

// UnmarshalJSON implements [json.Unmarshaler].
func (m *Metadata) UnmarshalJSON(b []byte) error {
	var pairs map[string]string
	if err := json.Unmarshal(b, &pairs); err != nil {
		return err
	}
	*m = nil
	for k, v := range pairs {
		*m = append(*m, Pair{Key: k, Value: v})
	}
	slices.SortFunc(*m, func(a, b Pair) int { return strings.Compare(a.Key, b.Key) })
	return nil
}

// The statuses of a PaymentIntent.
const (
	StatusCanceled              = "canceled"
	StatusProcessing            = "processing"
	StatusRequiresAction        = "requires_action"
	StatusRequiresCapture       = "requires_capture"
	StatusRequiresConfirmation  = "requires_confirmation"
	StatusRequiresPaymentMethod = "requires_payment_method"
	StatusSucceeded             = "succeeded"
)

// Intent is a snapshot of a PaymentIntent.
type Intent struct {
	ID                        string        `json:"id"`
	AllowRedirects            string        `json:"allow_redirects,omitempty"` // "always" or "never"; empty without automatic payment methods
	Amount                    int64         `json:"amount"`
	AmountCapturable          int64         `json:"amount_capturable"`
	AmountReceived            int64         `json:"amount_received"`
	ApplicationFeeAmount      int64         `json:"application_fee_amount,omitempty"`
	Attempt                   int           `json:"attempt,omitempty"` // the number of confirmations so far
	Authenticated             bool          `json:"authenticated,omitempty"`
	CanceledAt                int64         `json:"canceled_at,omitempty"`
	CancellationReason        string        `json:"cancellation_reason,omitempty"`
	CaptureMethod             string        `json:"capture_method"`
	CheckoutSession           string        `json:"checkout_session,omitempty"`
	ClientSecret              string        `json:"client_secret"`
	ConfirmationMethod        string        `json:"confirmation_method"`
	Created                   int64         `json:"created"`
	Currency                  string        `json:"currency"`
	Customer                  string        `json:"customer,omitempty"`
	Description               string        `json:"description,omitempty"`
	LastPaymentError          *PaymentError `json:"last_payment_error,omitempty"`
	LatestCharge              string        `json:"latest_charge,omitempty"`
	Livemode                  bool          `json:"livemode"`
	Metadata                  Metadata      `json:"metadata"`
	NextAction                *NextAction   `json:"next_action,omitempty"`
	OnBehalfOf                string        `json:"on_behalf_of,omitempty"`
	PaymentMethod             string        `json:"payment_method,omitempty"`
	PaymentMethodTypes        []string      `json:"payment_method_types"`
	ReceiptEmail              string        `json:"receipt_email,omitempty"`
	ReturnURL                 string        `json:"return_url,omitempty"` // of the latest challenge
	SetupFutureUsage          string        `json:"setup_future_usage,omitempty"`
	Shipping                  RawJSON       `json:"shipping,omitempty"`
	StatementDescriptor       string        `json:"statement_descriptor,omitempty"`
	StatementDescriptorSuffix string        `json:"statement_descriptor_suffix,omitempty"`
	Status                    string        `json:"status"`
	TransferGroup             string        `json:"transfer_group,omitempty"`
}

// NextAction is what the customer has to do. Without a URL it is left to Stripe.js.
type NextAction struct {
	ReturnURL string `json:"return_url,omitempty"`
	Source    string `json:"source"` // identifies the challenge, so that an outdated page of the same intent is recognized
	URL       string `json:"url,omitempty"`
}

// PaymentError is the reason for which the last attempt failed.
type PaymentError struct {
	Charge        string         `json:"charge,omitempty"`
	Code          string         `json:"code"`
	DeclineCode   string         `json:"decline_code,omitempty"`
	Message       string         `json:"message"`
	PaymentMethod *PaymentMethod `json:"payment_method,omitempty"`
	Type          string         `json:"type"`
}

// RawJSON is a value that is stored as it is shown.
type RawJSON = json.RawMessage

// PaymentMethod is a snapshot of a payment method, which is always a card.
type PaymentMethod struct {
	ID             string   `json:"id"`
	Attached       bool     `json:"attached,omitempty"` // was ever attached
	BillingDetails Billing  `json:"billing_details,omitzero"`
	Card           string   `json:"card"` // the magic id that determines its behavior, such as "pm_card_visa"
	Created        int64    `json:"created"`
	Customer       string   `json:"customer,omitempty"`
	ExpMonth       int64    `json:"exp_month"`
	ExpYear        int64    `json:"exp_year"`
	Livemode       bool     `json:"livemode"`
	Metadata       Metadata `json:"metadata"`
	SetUp          bool     `json:"set_up,omitempty"` // authenticated for off-session use
	Used           bool     `json:"used,omitempty"`   // consumed or detached, so it cannot be used again
}

// Billing is a payment method's billing_details.
type Billing struct {
	Address RawJSON `json:"address,omitempty"`
	Email   string  `json:"email,omitempty"`
	Name    string  `json:"name,omitempty"`
	Phone   string  `json:"phone,omitempty"`
}

// Charge is a snapshot of a charge, one attempt to move money.
type Charge struct {
	ID                        string         `json:"id"`
	Amount                    int64          `json:"amount"`
	AmountCaptured            int64          `json:"amount_captured"`
	AmountRefunded            int64          `json:"amount_refunded"`
	BalanceTransaction        string         `json:"balance_transaction,omitempty"`
	Captured                  bool           `json:"captured"`
	Challenged                bool           `json:"challenged,omitempty"` // a 3DS challenge was passed
	Created                   int64          `json:"created"`
	Currency                  string         `json:"currency"`
	Customer                  string         `json:"customer,omitempty"`
	Description               string         `json:"description,omitempty"`
	Dispute                   string         `json:"dispute,omitempty"`
	Disputed                  bool           `json:"disputed"`
	FailureCode               string         `json:"failure_code,omitempty"`
	FailureDeclineCode        string         `json:"failure_decline_code,omitempty"`
	FailureMessage            string         `json:"failure_message,omitempty"`
	FraudReport               string         `json:"fraud_report,omitempty"`
	Livemode                  bool           `json:"livemode"`
	Manual                    bool           `json:"manual,omitempty"` // authorized first, captured later
	Metadata                  Metadata       `json:"metadata"`
	OnBehalfOf                string         `json:"on_behalf_of,omitempty"`
	PaymentIntent             string         `json:"payment_intent,omitempty"`
	PaymentMethod             *PaymentMethod `json:"payment_method"` // as it was when it was charged
	ReceiptEmail              string         `json:"receipt_email,omitempty"`
	Shipping                  RawJSON        `json:"shipping,omitempty"`
	StatementDescriptor       string         `json:"statement_descriptor,omitempty"`
	StatementDescriptorSuffix string         `json:"statement_descriptor_suffix,omitempty"`
	Status                    string         `json:"status"` // succeeded, pending or failed
	TransferGroup             string         `json:"transfer_group,omitempty"`
}

// Refund is a snapshot of a refund.
type Refund struct {
	ID                        string   `json:"id"`
	Amount                    int64    `json:"amount"`
	BalanceTransaction        string   `json:"balance_transaction,omitempty"`
	Charge                    string   `json:"charge"`
	Created                   int64    `json:"created"`
	Currency                  string   `json:"currency"`
	FailureBalanceTransaction string   `json:"failure_balance_transaction,omitempty"`
	FailureReason             string   `json:"failure_reason,omitempty"`
	InstructionsEmail         string   `json:"instructions_email,omitempty"`
	Metadata                  Metadata `json:"metadata"`
	PaymentIntent             string   `json:"payment_intent,omitempty"`
	Reason                    string   `json:"reason,omitempty"`
	Status                    string   `json:"status"`
}

// Dispute is a snapshot of a chargeback or an inquiry.
type Dispute struct {
	ID            string               `json:"id"`
	Amount        int64                `json:"amount"`
	Brand         string               `json:"brand"`
	Charge        string               `json:"charge"`
	Created       int64                `json:"created"`
	Currency      string               `json:"currency"`
	DueBy         int64                `json:"due_by"`
	Evidence      Metadata             `json:"evidence,omitempty"`
	Livemode      bool                 `json:"livemode"`
	Metadata      Metadata             `json:"metadata"`
	PaymentIntent string               `json:"payment_intent,omitempty"`
	Reason        string               `json:"reason"`
	Status        string               `json:"status"`
	Submissions   int64                `json:"submissions"`
	Transactions  []BalanceTransaction `json:"balance_transactions"`
}

// Customer is a snapshot of a customer.
type Customer struct {
	ID                   string   `json:"id"`
	Address              RawJSON  `json:"address,omitempty"`
	Balance              int64    `json:"balance"`
	Created              int64    `json:"created"`
	DefaultPaymentMethod string   `json:"default_payment_method,omitempty"`
	Deleted              bool     `json:"deleted,omitempty"`
	Description          string   `json:"description,omitempty"`
	Email                string   `json:"email,omitempty"`
	InvoicePrefix        string   `json:"invoice_prefix"`
	Livemode             bool     `json:"livemode"`
	Metadata             Metadata `json:"metadata"`
	Name                 string   `json:"name,omitempty"`
	NextInvoiceSequence  int64    `json:"next_invoice_sequence"`
	Phone                string   `json:"phone,omitempty"`
	PreferredLocales     []string `json:"preferred_locales,omitempty"`
	Shipping             RawJSON  `json:"shipping,omitempty"`
	TaxExempt            string   `json:"tax_exempt"`
}

// SetupIntent is a snapshot of a SetupIntent.
type SetupIntent struct {
	ID                 string        `json:"id"`
	AllowRedirects     string        `json:"allow_redirects,omitempty"`
	Attempt            int           `json:"attempt,omitempty"`
	CancellationReason string        `json:"cancellation_reason,omitempty"`
	ClientSecret       string        `json:"client_secret"`
	Created            int64         `json:"created"`
	Customer           string        `json:"customer,omitempty"`
	Description        string        `json:"description,omitempty"`
	LastSetupError     *PaymentError `json:"last_setup_error,omitempty"`
	LatestAttempt      string        `json:"latest_attempt,omitempty"`
	Livemode           bool          `json:"livemode"`
	Metadata           Metadata      `json:"metadata"`
	NextAction         *NextAction   `json:"next_action,omitempty"`
	PaymentMethod      string        `json:"payment_method,omitempty"`
	PaymentMethodTypes []string      `json:"payment_method_types"`
	ReturnURL          string        `json:"return_url,omitempty"` // of the latest challenge
	Status             string        `json:"status"`
	Usage              string        `json:"usage"`
}

// BalanceTransaction is one change of the account's balance.
type BalanceTransaction struct {
	ID          string `json:"id"`
	Amount      int64  `json:"amount"`
	AvailableOn int64  `json:"available_on"`
	Created     int64  `json:"created"`
	Currency    string `json:"currency"`
	Description string `json:"description,omitempty"`
	Fee         int64  `json:"fee"`
	FeeType     string `json:"fee_type,omitempty"`
	Source      string `json:"source"`
	Type        string `json:"type"`
}

// CheckoutSession is a snapshot of a Checkout Session.
type CheckoutSession struct {
	ID                string     `json:"id"`
	AmountTotal       int64      `json:"amount_total"`
	CancelURL         string     `json:"cancel_url,omitempty"`
	ClientReferenceID string     `json:"client_reference_id,omitempty"`
	Created           int64      `json:"created"`
	Currency          string     `json:"currency"`
	Customer          string     `json:"customer,omitempty"`
	CustomerCreation  string     `json:"customer_creation"`
	CustomerEmail     string     `json:"customer_email,omitempty"`
	ExpiresAt         int64      `json:"expires_at"`
	Intent            IntentData `json:"intent_data"`
	LineItems         []LineItem `json:"line_items"`
	Livemode          bool       `json:"livemode"`
	Metadata          Metadata   `json:"metadata"`
	PaymentIntent     string     `json:"payment_intent,omitempty"`
	PaymentStatus     string     `json:"payment_status"`
	Status            string     `json:"status"`
	SubmitType        string     `json:"submit_type,omitempty"`
	SuccessURL        string     `json:"success_url,omitempty"`
	URL               string     `json:"url"`
}

// IntentData holds the parameters for the PaymentIntent of a Checkout Session.
type IntentData struct {
	CaptureMethod       string   `json:"capture_method,omitempty"`
	Description         string   `json:"description,omitempty"`
	Metadata            Metadata `json:"metadata"`
	ReceiptEmail        string   `json:"receipt_email,omitempty"`
	SetupFutureUsage    string   `json:"setup_future_usage,omitempty"`
	StatementDescriptor string   `json:"statement_descriptor,omitempty"`
	StatementSuffix     string   `json:"statement_descriptor_suffix,omitempty"`
	TransferGroup       string   `json:"transfer_group,omitempty"`
}

// LineItem is one line of a Checkout Session.
type LineItem struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	Price      string `json:"price"`
	Product    string `json:"product"`
	Quantity   int64  `json:"quantity"`
	UnitAmount int64  `json:"unit_amount"`
}

// WebhookEndpoint is a snapshot of an address that receives events.
type WebhookEndpoint struct {
	ID            string   `json:"id"`
	APIVersion    string   `json:"api_version,omitempty"`
	Created       int64    `json:"created"`
	Deleted       bool     `json:"deleted,omitempty"`
	Description   string   `json:"description,omitempty"`
	Disabled      bool     `json:"disabled,omitempty"`
	EnabledEvents []string `json:"enabled_events"`
	Livemode      bool     `json:"livemode"`
	Metadata      Metadata `json:"metadata"`
	Secrets       []string `json:"secrets"`
	URL           string   `json:"url"`
}
