package wallet

import (
	"encoding/json"
	"regexp"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// WalletStatus is whether a wallet can still be funded and drawn from.
type WalletStatus string

// The states of a wallet. A terminated wallet stays terminated; a purchase that was
// pending may still settle into it.
const (
	WalletActive     WalletStatus = "active"
	WalletTerminated WalletStatus = "terminated"
)

// DefaultPriority is the priority of wallets and wallet transactions unless another
// one is given. A lower number comes first.
const DefaultPriority = 50

// DefaultBillingEntity is the code of the one billing entity that an organization
// has.
const DefaultBillingEntity = "default"

// DefaultWalletLimit is the largest number of active wallets of a customer.
const DefaultWalletLimit = 6

// Wallet is prepaid money of one customer in one currency.
type Wallet struct {
	ID                 ID
	OrganizationID     ID
	Mode               Mode
	CustomerID         ID
	ExternalCustomerID string
	// Code is the wallet's name among the customer's active wallets.
	Code     string
	Name     string
	Currency Currency
	// RateAmount is the price of one credit, in major units of Currency. It never
	// changes.
	RateAmount decimal.Decimal
	IsPrimary  bool
	Status     WalletStatus
	// Priority, from 1 to 50, orders the wallets of a customer: the lowest pays first.
	Priority            int
	BillingEntityCode   string
	PurchaseOrderNumber string

	// Balance is in minor units. It may be below zero after a refund or dispute.
	// Balance and CreditsBalance are kept apart, because a void keeps its own
	// credits and its money is rounded.
	Balance         int64
	CreditsBalance  decimal.Decimal
	ConsumedCredits decimal.Decimal

	// InvoiceRequiresSuccessfulPayment keeps the invoice of a purchase open until
	// it is paid.
	InvoiceRequiresSuccessfulPayment bool
	// PaidTopUpMinAmount and PaidTopUpMaxAmount bound what one purchase may cost,
	// inclusive, in minor units; nil is no bound.
	PaidTopUpMinAmount *int64
	PaidTopUpMaxAmount *int64
	// Traceable reports whether what is left of each inbound transaction is known.
	Traceable     bool
	PaymentMethod MethodChoice    `db:"-"` // two columns each
	Sections      AppliedSections `db:"-"`
	// AppliesTo, RecurringTransactionRules and Metadata are JSON as it came from
	// the client, nil when unset.
	AppliesTo                 json.RawMessage
	RecurringTransactionRules json.RawMessage
	Metadata                  json.RawMessage

	CreatedAt            time.Time
	ExpirationAt         *time.Time
	LastBalanceSyncAt    *time.Time
	LastConsumedCreditAt *time.Time
	TerminatedAt         *time.Time
}

// At returns the wallet as it stands at a time: a wallet whose expiration has passed is
// terminated from then on, even if that is not stored yet.
func (w Wallet) At(now time.Time) Wallet {
	if w.Status == WalletActive && w.ExpirationAt != nil && !now.Before(*w.ExpirationAt) {
		w.Status, w.TerminatedAt = WalletTerminated, w.ExpirationAt
	}
	return w
}

// Validate returns what is wrong with the values of a wallet that is made or changed.
func (w Wallet) Validate() *ValidationError {
	v := &ValidationError{}
	if !w.RateAmount.IsPositive() {
		v.Add(FieldRateAmount, ProblemOutOfRange)
	}
	if !w.Currency.Known() {
		v.Add(FieldCurrency, ProblemInvalid)
	}
	if w.Priority < 1 || w.Priority > DefaultPriority {
		v.Add(FieldPriority, ProblemInvalid)
	}
	smallest, largest := w.PaidTopUpMinAmount, w.PaidTopUpMaxAmount
	if smallest != nil && *smallest <= 0 {
		v.Add(FieldPaidTopUpMinAmount, ProblemOutOfRange)
	}
	if largest != nil && *largest <= 0 {
		v.Add(FieldPaidTopUpMaxAmount, ProblemOutOfRange)
	}
	if smallest != nil && largest != nil && *largest < *smallest {
		v.Add(FieldPaidTopUpMaxAmount, ProblemMaximumBelowMinimum)
	}
	return v
}

var notInCode = regexp.MustCompile(`[^a-z0-9]+`)

// CodeFor returns the code of a wallet that was made without one: its name in lower
// case, with underscores in place of everything but letters and digits.
func CodeFor(name string) string {
	if code := strings.Trim(notInCode.ReplaceAllString(strings.ToLower(name), "_"), "_"); code != "" {
		return code
	}
	return "default"
}

// AppliedSection is a text of a merchant's for invoices, as it read when it was
// applied.
type AppliedSection struct {
	ID          ID        `json:"id"`
	SectionID   ID        `json:"section_id"`
	Code        string    `json:"code"`
	Name        string    `json:"name"`
	Description string    `json:"description"`
	Details     string    `json:"details"`
	DisplayName string    `json:"display_name"`
	CreatedAt   time.Time `json:"created_at"`
}

// AppliedSections are the sections that a wallet or a purchase asks for.
type AppliedSections struct {
	// Skip asks for no sections at all.
	Skip bool
	List []AppliedSection
}

// Resolve returns the sections of an invoice: those of the purchase if it asks for any
// or for none, else those of its wallet, the owner.
func (s AppliedSections) Resolve(owner AppliedSections) []AppliedSection {
	for _, one := range []AppliedSections{s, owner} {
		if one.Skip {
			return nil
		}
		if len(one.List) > 0 {
			return one.List
		}
	}
	return nil
}

// SectionRequest is what a client says of invoice custom sections. Skip removes
// those that are there; without it the codes replace them.
type SectionRequest struct {
	Skip  bool
	Codes []string
}

// Apply returns the sections that the request asks for. Found are those of its codes.
func (r SectionRequest) Apply(found []AppliedSection) AppliedSections {
	if r.Skip {
		return AppliedSections{Skip: true}
	}
	return AppliedSections{List: found}
}
