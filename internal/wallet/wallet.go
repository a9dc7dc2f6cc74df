package wallet

import (
	"encoding/json"
	"regexp"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// WalletStatus tells whether a wallet can still be funded and drawn from.
type WalletStatus string

// The states of a wallet. Nothing leads back from terminated; a purchase that was
// pending then may still settle into it.
const (
	WalletActive     WalletStatus = "active"
	WalletTerminated WalletStatus = "terminated"
)

// DefaultPriority is the priority of wallets and wallet transactions that ask for
// none. A lower number comes first.
const DefaultPriority = 50

// DefaultBillingEntity is the code of the one billing entity that an organization
// has.
const DefaultBillingEntity = "default"

// DefaultWalletLimit is how many active wallets a customer may have.
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
	// RateAmount is what one credit costs, in major units of Currency. It never
	// changes.
	RateAmount decimal.Decimal
	IsPrimary  bool
	Status     WalletStatus
	// Priority, from 1 to 50, says which of a customer's wallets pays first.
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
	// Traceable: what is left of each credit is known.
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

// At is the wallet as it stands at a time: one whose expiration has passed is
// terminated from then on, whether somebody has written that down or not.
func (w Wallet) At(now time.Time) Wallet {
	if w.Status == WalletActive && w.ExpirationAt != nil && !now.Before(*w.ExpirationAt) {
		w.Status, w.TerminatedAt = WalletTerminated, w.ExpirationAt
	}
	return w
}

// Validate finds what is wrong with the values of a wallet that is made or
// changed.
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

// CodeFor makes the code of a wallet that came without one: its name in lower
// case, with underscores for all but letters and digits.
func CodeFor(name string) string {
	if code := strings.Trim(notInCode.ReplaceAllString(strings.ToLower(name), "_"), "_"); code != "" {
		return code
	}
	return "default"
}

// AppliedSection is a text that a merchant has printed on an invoice, as it read
// when it was applied.
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
	// Skip: no sections at all, whatever others ask for.
	Skip bool
	List []AppliedSection
}

// Resolve gives the sections that an invoice gets: the purchase's if it says
// anything of them, else the wallet's.
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
