package wallet

import (
	"time"

	"github.com/shopspring/decimal"
)

// Settlement is an outcome that is to be applied to a payment.
type Settlement struct {
	PaymentID ID
	Outcome   Outcome
	Cause     Cause
	// ActionDeadline is when the cardholder's time to pass a challenge ends. It is used
	// only if the outcome asks for one.
	ActionDeadline time.Time
	// CloseIntentAt is when a job makes sure that the intent or the page is closed. It
	// is used only if the outcome fails or withdraws the payment.
	CloseIntentAt time.Time
	Now           time.Time
	// SpareTransactionID is the id of the wallet transaction that is made if the
	// purchase was paid for before. It must be the same when the settlement is
	// repeated.
	SpareTransactionID ID
}

// SettleState is everything that a decision on a settlement depends on, as it is
// stored and locked.
type SettleState struct {
	Payment  Payment
	Purchase PurchaseState
	Wallet   BalanceState
	// Invoice is the purchase's credit invoice, nil when it has none.
	Invoice *InvoiceState
	// Card is the charged card, nil when the payment has none.
	Card *CardState
}

// PurchaseState is what settling reads and changes of a purchased wallet
// transaction.
type PurchaseState struct {
	ID              ID
	Status          TransactionStatus
	Amount          int64 // minor units
	CreditAmount    decimal.Decimal
	RemainingAmount *int64 // minor units; nil unless settled and the wallet traceable
	SettledAt       *time.Time
	FailedAt        *time.Time
}

// BalanceState is what settling reads and changes of a wallet.
type BalanceState struct {
	ID             ID
	Balance        int64 // minor units
	CreditsBalance decimal.Decimal
	// Traceable reports whether the wallet knows what is left of each purchase.
	Traceable bool
	UpdatedAt time.Time
}

// InvoiceState is what settling reads and changes of a credit invoice.
type InvoiceState struct {
	ID            ID
	Status        InvoiceStatus
	PaymentStatus InvoicePaymentStatus
	PaidAmount    int64 // minor units
	FinalizedAt   *time.Time
	// IssuedAt is the time whose date becomes the issuing date, zero when that
	// date stays.
	IssuedAt  time.Time
	UpdatedAt time.Time
}

// CardState is what settling reads and changes of a charged card.
type CardState struct {
	ID ID
	// Fingerprint is Stripe's fingerprint of the card's number, empty if it is not
	// known. The same card saved twice has one fingerprint.
	Fingerprint string
	// Error is why the last charge failed; its zero value means that it did not.
	Error CardError
	// Barred is the decline that forbids charging the fingerprint again, nil if none
	// does.
	Barred *CardDecline
}

// CardError is why the last charge of a card failed.
type CardError struct {
	Code    string // empty when the last charge did not fail
	Message string
	At      time.Time
}

// CardDecline is a decline that forbids charging a card again without the cardholder.
type CardDecline struct {
	Class      DeclineClass
	Code       string
	PaymentID  ID
	DeclinedAt time.Time
}

// Move is a line of a payment's audit trail.
type Move struct {
	PaymentID ID
	From      PaymentStatus
	To        PaymentStatus
	Cause     Cause
	// StripeRequestID is Stripe's id of the request that brought the outcome,
	// empty when there was none.
	StripeRequestID string
	MovedAt         time.Time
}

// Credit is money that a settlement puts into a wallet.
type Credit struct {
	PaymentID     ID
	TransactionID ID    // the wallet transaction that it settles
	Amount        int64 // minor units
	Credits       decimal.Decimal
	BalanceAfter  int64 // minor units
}

// DiscrepancyKind is how Stripe and our books differ on a payment.
type DiscrepancyKind string

// The kinds of discrepancy.
const (
	// DiscrepancyAmount: Stripe received another amount than was asked for.
	DiscrepancyAmount DiscrepancyKind = "amount_mismatch"
	// DiscrepancyCurrency: Stripe received money in another currency.
	DiscrepancyCurrency DiscrepancyKind = "currency_mismatch"
	// DiscrepancyPaidTwice: two payments of one purchase succeeded.
	DiscrepancyPaidTwice DiscrepancyKind = "paid_twice"
	// DiscrepancySecondIntent: an intent that is not the payment's took money.
	DiscrepancySecondIntent DiscrepancyKind = "second_intent"
	// DiscrepancyWalletFull: the wallet cannot hold what Stripe received.
	DiscrepancyWalletFull DiscrepancyKind = "wallet_full"
)

// Discrepancy is a difference between Stripe and our books. An operator decides how it
// is resolved.
type Discrepancy struct {
	PaymentID        ID
	Kind             DiscrepancyKind
	IntentID         string
	ExpectedAmount   int64 // minor units
	ExpectedCurrency Currency
	ReceivedAmount   int64 // minor units
	ReceivedCurrency Currency
	Cause            Cause
	FoundAt          time.Time
}

// SettleChanges is what a settlement changes. A part that is nil or empty stays as it
// is.
type SettleChanges struct {
	// Payment is the payment afterwards, even if it did not change.
	Payment Payment
	// Move is the payment's move, nil when the outcome does not move it.
	Move *Move
	// Identified reports that the payment learned its intent without moving.
	Identified bool
	// Withdrawn reports that the move ends an attempt that had no effect. Merchants are
	// not told of it.
	Withdrawn bool
	// Purchase is the payment's wallet transaction afterwards.
	Purchase *PurchaseState
	// Spare is a new wallet transaction for money that paid for its purchase a
	// second time.
	Spare         *PurchaseState
	Credit        *Credit
	Wallet        *BalanceState
	Invoice       *InvoiceState
	Card          *CardState
	Discrepancies []Discrepancy
}

// Settle decides what an outcome changes. It is the only place where that is decided.
// The result depends on the arguments alone, so that it can be tested without a
// database and is the same when a settlement is repeated.
//
// An outcome moves a payment along the table of moves or not at all, so the
// second settlement with one outcome changes nothing. A success credits the
// wallet with the smaller of what was asked for and what Stripe received; money in
// another currency, or of another intent, or that the wallet cannot hold, credits nothing
// and is a discrepancy.
func Settle(s SettleState, in Settlement) SettleChanges {
	o := in.Outcome
	c := SettleChanges{Payment: s.Payment}
	to, moves := o.Status()
	ownIntent := s.Payment.StripePaymentIntentID == "" || o.IntentID == "" || s.Payment.StripePaymentIntentID == o.IntentID
	if to == PaymentSucceeded {
		c.Discrepancies = mismatches(s.Payment, in, ownIntent)
	}
	if !moves || !ownIntent {
		return c
	}
	c.Withdrawn = o.Kind == OutcomeWithdrawn
	if c.Withdrawn && s.Payment.Status != PaymentCreated {
		return SettleChanges{Payment: s.Payment} // it has its page by now, or it has ended
	}
	if !CanMove(s.Payment.Status, to) {
		// A payment whose answer was lost may learn its intent before the intent's state
		// is known.
		if s.Payment.Status == PaymentProcessing && to == PaymentProcessing &&
			s.Payment.StripePaymentIntentID == "" && o.IntentID != "" {
			c.Identified = true
			c.Payment.StripePaymentIntentID, c.Payment.UpdatedAt = o.IntentID, in.Now
		}
		return c
	}
	if to == PaymentSucceeded && (o.AmountReceived <= 0 || o.Currency != s.Payment.Currency) {
		return c // nothing can be credited: a discrepancy says so
	}
	if to == PaymentSucceeded && !s.holds(in) {
		// The payment stays where it is. It is checked again, and settled once there is room.
		c.Discrepancies = append(c.Discrepancies, discrepancy(s.Payment, in, DiscrepancyWalletFull))
		return c
	}
	c.Move = &Move{
		PaymentID: s.Payment.ID, From: s.Payment.Status, To: to, Cause: in.Cause, StripeRequestID: o.RequestID, MovedAt: in.Now,
	}
	c.movePayment(in, to)
	switch {
	case to == PaymentSucceeded:
		c.credit(s, in)
	case to == PaymentRequiresAction:
		c.reopenInvoice(s, in)
	case !c.Withdrawn:
		c.fail(s, in, to)
	}
	c.judgeCard(s, in, to)
	return c
}

// mismatches compares what Stripe received with what was asked for.
func mismatches(p Payment, in Settlement, ownIntent bool) []Discrepancy {
	o := in.Outcome
	var kind DiscrepancyKind
	switch {
	case !ownIntent:
		kind = DiscrepancySecondIntent
	case o.Currency != p.Currency:
		kind = DiscrepancyCurrency
	case o.AmountReceived != p.Amount:
		kind = DiscrepancyAmount
	default:
		return nil
	}
	return []Discrepancy{discrepancy(p, in, kind)}
}

func discrepancy(p Payment, in Settlement, kind DiscrepancyKind) Discrepancy {
	return Discrepancy{
		PaymentID: p.ID, Kind: kind, IntentID: in.Outcome.IntentID,
		ExpectedAmount: p.Amount, ExpectedCurrency: p.Currency,
		ReceivedAmount: in.Outcome.AmountReceived, ReceivedCurrency: in.Outcome.Currency,
		Cause: in.Cause, FoundAt: in.Now,
	}
}

// movePayment sets what the outcome says of the payment itself. Everything else stays.
func (c *SettleChanges) movePayment(in Settlement, to PaymentStatus) {
	o, p := in.Outcome, &c.Payment
	p.Status, p.UpdatedAt = to, in.Now
	keep(&p.StripePaymentIntentID, o.IntentID)
	keep(&p.StripeCheckoutSessionID, o.CheckoutSessionID)
	replace(&p.StripeChargeID, o.ChargeID)
	replace(&p.RedirectURL, o.RedirectURL)
	if o.Failure.Code != "" {
		replace(&p.Failure.Message, o.Failure.Message)
		p.Failure.Code, p.Failure.DeclineCode = o.Failure.Code, o.Failure.DeclineCode
	}
	if to == PaymentRequiresAction {
		p.ActionDeadlineAt = new(in.ActionDeadline)
	}
	if !to.Open() {
		p.NextCheckAt = nil
	}
	p.CloseDueAt = nil
	// A declined intent stays open at Stripe until it is canceled. The page of a
	// checkout session closes its own.
	if to == PaymentFailed && p.StripePaymentIntentID != "" && p.StripeCheckoutSessionID == "" {
		p.CloseDueAt = new(in.CloseIntentAt)
	}
	if o.Kind == OutcomeWithdrawn && o.MayHavePage {
		p.CloseDueAt = new(in.CloseIntentAt)
	}
}

// keep sets a value that is not known yet.
func keep(old *string, value string) {
	if *old == "" {
		*old = value
	}
}

// replace sets a value unless the new one is empty.
func replace(old *string, value string) {
	if value != "" {
		*old = value
	}
}

// credited returns what a success credits, in minor units and in credits.
func credited(s SettleState, in Settlement) (int64, decimal.Decimal) {
	amount := min(s.Payment.Amount, in.Outcome.AmountReceived)
	credits := s.Purchase.CreditAmount
	if s.Purchase.Status == TransactionSettled {
		// The settled purchase may have been credited with less than was asked for,
		// so its credits are those of its own amount.
		credits = creditsOfPart(credits, s.Payment.Amount, s.Purchase.Amount)
	}
	return amount, creditsOfPart(credits, amount, s.Payment.Amount)
}

// holds reports whether the wallet can hold what a success credits.
func (s SettleState) holds(in Settlement) bool {
	amount, credits := credited(s, in)
	return Holds(s.Wallet.Balance, amount, s.Wallet.CreditsBalance.Add(credits))
}

// credit puts the money of a successful payment into the wallet. A purchase that
// was settled before gets a second wallet transaction, because money that moved is
// credited.
func (c *SettleChanges) credit(s SettleState, in Settlement) {
	amount, credits := credited(s, in)
	w := s.Wallet
	w.Balance += amount
	w.CreditsBalance = w.CreditsBalance.Add(credits)
	w.UpdatedAt = latest(w.UpdatedAt, in.Now)
	c.Wallet = &w

	settled := PurchaseState{ID: s.Purchase.ID, FailedAt: s.Purchase.FailedAt}
	paidTwice := s.Purchase.Status == TransactionSettled
	if paidTwice {
		settled = PurchaseState{ID: in.SpareTransactionID}
		c.Payment.WalletTransactionID = in.SpareTransactionID
		c.Discrepancies = append(c.Discrepancies, discrepancy(s.Payment, in, DiscrepancyPaidTwice))
	}
	settled.Status, settled.Amount, settled.CreditAmount, settled.SettledAt = TransactionSettled, amount, credits, new(in.Now)
	if w.Traceable {
		// Money that came into a wallet below zero filled that hole first.
		settled.RemainingAmount = new(RemainingOf(amount, w.Balance))
	}
	if paidTwice {
		c.Spare = &settled
	} else {
		c.Purchase = &settled
		c.payInvoice(s, in, amount)
	}
	c.Payment.AmountReceived = in.Outcome.AmountReceived
	c.Payment.BalanceAfter = new(w.Balance)
	c.Credit = &Credit{
		PaymentID: s.Payment.ID, TransactionID: settled.ID, Amount: amount, Credits: credits, BalanceAfter: w.Balance,
	}
}

// creditsOfPart returns how many of the credits of whole belong to part of it.
func creditsOfPart(credits decimal.Decimal, part, whole int64) decimal.Decimal {
	if part == whole {
		return credits
	}
	return credits.Mul(decimal.NewFromInt(part)).DivRound(decimal.NewFromInt(whole), CreditDecimals)
}

func (c *SettleChanges) payInvoice(s SettleState, in Settlement, amount int64) {
	if s.Invoice == nil || s.Invoice.PaymentStatus == InvoicePaymentSucceeded {
		return
	}
	i := *s.Invoice
	i.PaymentStatus, i.PaidAmount, i.UpdatedAt = InvoicePaymentSucceeded, amount, in.Now
	if i.Status == InvoiceOpen {
		i.IssuedAt = in.Now // an open invoice is issued on the day on which it is paid
	}
	i.Status = InvoiceFinalized
	if i.FinalizedAt == nil {
		i.FinalizedAt = new(in.Now)
	}
	c.Invoice = &i
}

// reopenInvoice marks the invoice of an earlier payment that failed as pending, because
// the cardholder can now pay it.
func (c *SettleChanges) reopenInvoice(s SettleState, in Settlement) {
	if s.Invoice == nil || s.Invoice.PaymentStatus != InvoicePaymentFailed {
		return
	}
	i := *s.Invoice
	i.PaymentStatus, i.UpdatedAt = InvoicePaymentPending, in.Now
	c.Invoice = &i
}

// fail marks the purchase and its invoice as failed, unless another payment has paid
// for them.
func (c *SettleChanges) fail(s SettleState, in Settlement, to PaymentStatus) {
	if to != PaymentFailed && to != PaymentCanceled {
		return
	}
	if s.Purchase.Status != TransactionSettled {
		t := s.Purchase
		t.Status, t.FailedAt = TransactionFailed, new(in.Now)
		c.Purchase = &t
	}
	if s.Invoice != nil && s.Invoice.PaymentStatus != InvoicePaymentSucceeded {
		i := *s.Invoice
		i.PaymentStatus, i.UpdatedAt = InvoicePaymentFailed, in.Now
		c.Invoice = &i
	}
}

// judgeCard records on the card how its charge went. A decline that forbids another
// charge is stored for the card's fingerprint, and removed by a success.
func (c *SettleChanges) judgeCard(s SettleState, in Settlement, to PaymentStatus) {
	if s.Card == nil || (to != PaymentSucceeded && to != PaymentFailed) {
		return
	}
	card, f := *s.Card, in.Outcome.Failure
	switch {
	case to == PaymentSucceeded:
		card.Error, card.Barred = CardError{}, nil
	case f.Code != "":
		card.Error = CardError{Code: f.Code, Message: f.Message, At: in.Now}
		replace(&card.Error.Code, f.DeclineCode)
		if card.Fingerprint != "" && (f.Class == DeclineDoNotRetry || f.Class == DeclineHard) {
			card.Barred = &CardDecline{Class: f.Class, Code: f.Code, PaymentID: s.Payment.ID, DeclinedAt: in.Now}
		}
	}
	if card != *s.Card {
		c.Card = &card
	}
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
