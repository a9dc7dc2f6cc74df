package topup

import (
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"github.com/fundrail/fundrail/internal/wallet"
)

// State is what Move decides on. The wallet's row is locked.
type State struct {
	// Wallet is the wallet as it stands at the time of the request. Its balance may
	// be below zero.
	Wallet wallet.Wallet
	// Lots are the lots of the wallet of which something is left, in the order of
	// wallet.CompareLots; only the named transaction when the request names one. The
	// list may be cut off where the lots so far have enough left for the void. It is
	// empty for a wallet that is not traceable, and when nothing is voided.
	Lots []wallet.Lot
}

// Changes are what the grant and the void of a plan change.
type Changes struct {
	// Movements are the grant and then the void, as far as there are any.
	Movements []Movement
	// Lots and Debits are what the void took out of which lots. The grant may be
	// among the lots of the debits.
	Lots   []wallet.LotChange
	Debits []wallet.LotDebit
	// Wallet is the wallet afterwards, and BalanceBefore the balance that the decision
	// was made from.
	Wallet        wallet.Wallet
	BalanceBefore int64
	Announcements []wallet.Announcement
	Now           time.Time
}

// Movement is a settled wallet transaction: credits that were granted or voided.
type Movement struct {
	TransactionID wallet.ID
	Kind          wallet.TransactionKind
	Amount        int64 // minor units
	Credits       decimal.Decimal
	// Remaining is what is left of a grant, nil for a void and in a wallet that is not
	// traceable.
	Remaining           *int64
	PurchaseOrderNumber string
	Sections            wallet.AppliedSections
}

// Move decides what the grant and the void of a plan change in the wallet. The error
// is a *wallet.ValidationError with the first thing that speaks against it now: the
// wallet may have changed since the plan was made.
func Move(p Plan, s State, newID func() wallet.ID) (Changes, error) {
	w := s.Wallet
	switch {
	case w.Status != wallet.WalletActive:
		return Changes{}, wallet.Invalid(wallet.FieldWallet, wallet.ProblemTerminated)
	case p.Void != nil && p.Voided.GreaterThan(w.CreditsBalance):
		// Before the grant of the same request, as Prepare compares them.
		return Changes{}, wallet.Invalid(wallet.FieldVoidedCredits, wallet.ProblemInsufficientCredits)
	}
	m := mover{plan: p, lots: slices.Clone(s.Lots), newID: newID}
	m.changes = Changes{Wallet: w, BalanceBefore: w.Balance, Now: p.Now}
	if p.Grant != nil {
		if err := m.grant(); err != nil {
			return Changes{}, err
		}
	}
	if p.Void != nil {
		if err := m.void(); err != nil {
			return Changes{}, err
		}
	}
	m.announce()
	return m.changes, nil
}

// mover works out changes.
type mover struct {
	plan    Plan
	lots    []wallet.Lot
	newID   func() wallet.ID
	changes Changes
}

func (m *mover) grant() error {
	w, grant := &m.changes.Wallet, m.plan.Grant
	if !wallet.HasRoom(w.Balance, grant.Amount, w.CreditsBalance.Add(grant.Credits)) {
		return wallet.Invalid(wallet.FieldGrantedCredits, wallet.ProblemAmountInvalid)
	}
	w.Balance += grant.Amount
	w.CreditsBalance = w.CreditsBalance.Add(grant.Credits)
	made := Movement{
		TransactionID: m.plan.IDs.Grant, Kind: wallet.TransactionGranted, Amount: grant.Amount, Credits: grant.Credits,
		PurchaseOrderNumber: m.plan.PurchaseOrderNumber, Sections: m.sections(),
	}
	if w.Traceable {
		made.Remaining = new(wallet.RemainingOf(grant.Amount, w.Balance))
		m.addLot(*made.Remaining)
	}
	m.changes.Movements = append(m.changes.Movements, made)
	return nil
}

// addLot lets the void of the same request take from the grant, in its turn.
func (m *mover) addLot(remaining int64) {
	if m.plan.VoidedTransactionID != nil {
		return // the void takes from the named transaction only
	}
	l := wallet.Lot{
		ID: m.plan.IDs.Grant, Priority: m.plan.PriorityOrDefault(), Kind: wallet.TransactionGranted, CreatedAt: m.plan.Now,
		Remaining: remaining,
	}
	at, _ := slices.BinarySearchFunc(m.lots, l, wallet.CompareLots)
	m.lots = slices.Insert(m.lots, at, l)
}

func (m *mover) void() error {
	void, err := m.priceVoid()
	if err != nil {
		return err
	}
	w := &m.changes.Wallet
	if void.Amount > w.Balance {
		return wallet.Invalid(wallet.FieldAmount, wallet.ProblemExceedsAvailable)
	}
	if !wallet.HasRoomToConsume(w.ConsumedCredits.Add(void.Credits)) {
		return wallet.Invalid(wallet.FieldVoidedCredits, wallet.ProblemAmountInvalid)
	}
	if w.Traceable {
		if err := m.debit(void.Amount); err != nil {
			return err
		}
	}
	w.Balance -= void.Amount
	w.CreditsBalance = w.CreditsBalance.Sub(void.Credits)
	w.ConsumedCredits = w.ConsumedCredits.Add(void.Credits)
	w.LastConsumedCreditAt = new(m.plan.Now)
	m.changes.Movements = append(m.changes.Movements, Movement{
		TransactionID: m.plan.IDs.Void, Kind: wallet.TransactionVoided, Amount: void.Amount, Credits: void.Credits, Sections: m.sections(),
	})
	return nil
}

// priceVoid returns how much is voided. For all that is left of a transaction that
// is known only now.
func (m *mover) priceVoid() (Void, error) {
	void := *m.plan.Void
	if m.plan.VoidedTransactionID == nil {
		return void, nil
	}
	var left int64
	for _, l := range m.lots {
		left += l.Remaining
	}
	switch w := m.changes.Wallet; {
	case left == 0:
		return void, wallet.Invalid(wallet.FieldVoidedTransaction, wallet.ProblemNothingRemaining)
	case void.Amount > left:
		return void, wallet.Invalid(wallet.FieldAmount, wallet.ProblemExceedsRemaining)
	case void.Credits.IsZero():
		// Money and credits drift apart by what voids round. The last of the money may
		// stand for more credits than there are.
		void.Amount = left
		void.Credits = decimal.Min(wallet.CreditsFor(left, w.RateAmount, w.Currency), w.CreditsBalance)
		void.Credits = decimal.Max(void.Credits, decimal.Zero)
	}
	return void, nil
}

// debit takes the money of the void out of the lots in which it lies.
func (m *mover) debit(amount int64) error {
	for _, l := range m.lots {
		taken := min(amount, l.Remaining)
		if taken == 0 {
			continue
		}
		amount -= taken
		m.changes.Debits = append(m.changes.Debits, wallet.LotDebit{
			ID: m.newID(), InboundID: l.ID, OutboundID: m.plan.IDs.Void, Amount: taken,
		})
		m.setRemaining(l, l.Remaining-taken)
	}
	if amount > 0 {
		return wallet.Invalid(wallet.FieldAmount, wallet.ProblemExceedsAvailable)
	}
	return nil
}

// setRemaining notes what is left of a lot: of the grant where it is made, because it
// is not stored yet.
func (m *mover) setRemaining(l wallet.Lot, after int64) {
	if l.ID == m.plan.IDs.Grant {
		*m.changes.Movements[0].Remaining = after
		return
	}
	m.changes.Lots = append(m.changes.Lots, wallet.LotChange{ID: l.ID, Before: l.Remaining, After: after})
}

// sections returns the plan's sections with ids of their own, because each row has
// its own copy of a section.
func (m *mover) sections() wallet.AppliedSections {
	s := m.plan.Sections
	s.List = slices.Clone(s.List)
	for i := range s.List {
		s.List[i].ID = m.newID()
	}
	return s
}

// announce announces each movement and then the new balance. The purchase of the same
// request is announced where it is accepted.
func (m *mover) announce() {
	c := &m.changes
	for _, made := range c.Movements {
		c.Announcements = append(c.Announcements,
			wallet.AnnounceTransaction(wallet.DeliveryTransactionCreated, made.TransactionID, c.Wallet, c.Now))
	}
	c.Announcements = append(c.Announcements, wallet.AnnounceWallet(wallet.DeliveryWalletBalanceUpdated, c.Wallet, c.Now))
}
