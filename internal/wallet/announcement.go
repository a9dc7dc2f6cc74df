package wallet

import "time"

// Announcement is a change that is delivered to merchants' endpoints. A delivery
// shows the rows that it names as they are after the change.
type Announcement struct {
	Type DeliveryType
	// ObjectID is the row that changed. An endpoint gets the announcements of one
	// object in their order.
	ObjectID       ID
	OrganizationID ID
	Mode           Mode
	PaymentID      *ID
	TransactionID  *ID
	WalletID       *ID
	// Amount is how much a refund or dispute, or its reversal, moved, in minor units;
	// nil for every other change.
	Amount *int64
	// Traceparent names the trace of the request behind the change, empty when there
	// is none.
	Traceparent string
	At          time.Time
}

// paymentDeliveries is what is announced when a payment enters a state. Processing is
// not announced.
var paymentDeliveries = map[PaymentStatus]DeliveryType{
	PaymentCanceled:       DeliveryPaymentCanceled,
	PaymentFailed:         DeliveryPaymentFailed,
	PaymentRequiresAction: DeliveryPaymentRequiresAction,
	PaymentSucceeded:      DeliveryPaymentSucceeded,
}

// AnnounceSettlements returns the announcements of settlements: for each move the
// payment and then its wallet transaction, and after all of them the balance of each
// credited wallet once. An attempt that was withdrawn is not announced.
func AnnounceSettlements(changes []SettleChanges) []Announcement {
	var list, balances []Announcement
	credited := make(map[ID]int) // the index of a wallet in balances
	for _, c := range changes {
		if c.Move == nil || c.Withdrawn || paymentDeliveries[c.Move.To] == "" {
			continue
		}
		p := c.Payment
		about := Announcement{
			OrganizationID: p.OrganizationID, Mode: p.Mode, WalletID: &p.WalletID, Traceparent: p.Traceparent, At: c.Move.MovedAt,
		}
		payment := about
		payment.Type, payment.ObjectID, payment.PaymentID = paymentDeliveries[c.Move.To], p.ID, &p.ID
		list = append(list, payment)
		if t := c.announcedTransaction(); t != nil {
			transaction := about
			transaction.Type, transaction.ObjectID, transaction.TransactionID = DeliveryTransactionUpdated, t.ID, &t.ID
			if c.Spare != nil {
				transaction.Type = DeliveryTransactionCreated
			}
			list = append(list, transaction)
		}
		if c.Wallet != nil {
			balance := about
			balance.Type, balance.ObjectID = DeliveryWalletBalanceUpdated, p.WalletID
			if at, ok := credited[p.WalletID]; ok {
				balances[at] = balance
				continue
			}
			credited[p.WalletID] = len(balances)
			balances = append(balances, balance)
		}
	}
	return append(list, balances...)
}

func (c SettleChanges) announcedTransaction() *PurchaseState {
	if c.Spare != nil {
		return c.Spare
	}
	return c.Purchase
}

// AnnounceWallet returns the announcement of a change of a wallet.
func AnnounceWallet(t DeliveryType, w Wallet, at time.Time) Announcement {
	return Announcement{
		Type: t, ObjectID: w.ID, OrganizationID: w.OrganizationID, Mode: w.Mode, WalletID: &w.ID, At: at,
	}
}

// AnnounceTransaction returns the announcement of a change of a wallet transaction.
func AnnounceTransaction(t DeliveryType, id ID, w Wallet, at time.Time) Announcement {
	a := AnnounceWallet(t, w, at)
	a.ObjectID, a.TransactionID = id, &id
	return a
}
