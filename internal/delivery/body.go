package delivery

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/fundrail/fundrail/internal/nullable"
	"github.com/fundrail/fundrail/internal/wallet"
)

// Body encodes an event in a dialect. The same event always has the same bytes,
// even if it is sent several times.
func Body(k wallet.SignatureKind, e wallet.MerchantEvent) ([]byte, error) {
	name := k.DeliveryName(e.Type)
	var content any
	switch k {
	case wallet.SignatureLago:
		content = lagoBody(name, e)
	case wallet.SignatureLava:
		content = lavaBody{Event: name, Data: lavaData(e)}
	case wallet.SignatureStandard:
		content = standardBody{
			Type: name, Timestamp: e.CreatedAt.UTC().Format(time.RFC3339Nano),
			ID: wallet.Spell(wallet.PrefixEvent, e.Mode, e.ID), Sequence: e.Sequence, Data: objectOf(e),
		}
	default:
		return nil, fmt.Errorf("unknown dialect %q", k)
	}
	return encode(content)
}

// encode encodes v as JSON. Unlike json.Marshal it does not write & as \u0026, so
// that addresses stay readable.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode event: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// standardBody is the payload that the Standard Webhooks specification recommends,
// with two additions: ID, and Sequence, which counts the events of the object.
type standardBody struct {
	Type      string `json:"type"`
	Timestamp string `json:"timestamp"`
	ID        string `json:"id"`
	Sequence  int64  `json:"sequence"`
	Data      any    `json:"data"`
}

// lavaBody is Lava's payload. Its key for the event's name is event, not type.
type lavaBody struct {
	Event string `json:"event"`
	Data  any    `json:"data"`
}

// objectOf returns the event's object in the format of the API under /v1.
func objectOf(e wallet.MerchantEvent) any {
	switch {
	case e.Payment != nil:
		return newPaymentObject(e)
	case e.Transaction != nil:
		return newTransactionObject(*e.Transaction)
	case e.Wallet != nil:
		return newWalletObject(*e.Wallet)
	default:
		return struct{}{}
	}
}

// lavaData returns the customer for the events that Lava has, with the wallet as an
// addition. For other events it returns the object.
func lavaData(e wallet.MerchantEvent) any {
	if e.Type != wallet.DeliveryWalletBalanceUpdated || e.Wallet == nil {
		return objectOf(e)
	}
	w := newWalletObject(*e.Wallet)
	return lavaCustomer{
		CustomerID:  wallet.Spell(wallet.PrefixCustomer, e.Mode, e.Customer.ID),
		ReferenceID: e.Customer.ExternalID,
		Contact: lavaContact{
			Email: nullable.From(e.Customer.Email), FirstName: nullable.From(e.Customer.Firstname), LastName: nullable.From(e.Customer.Lastname),
		},
		CreatedAt: seconds(e.Customer.CreatedAt),
		Wallet:    w,
	}
}

// lavaCustomer is a customer in Lava's format. Subscription and metadata are always
// null.
type lavaCustomer struct {
	CustomerID   string       `json:"customer_id"`
	ReferenceID  string       `json:"reference_id"`
	Contact      lavaContact  `json:"contact"`
	Subscription *struct{}    `json:"subscription"`
	Metadata     *struct{}    `json:"metadata"`
	CreatedAt    string       `json:"created_at"`
	Wallet       walletObject `json:"wallet"`
}

type lavaContact struct {
	Phone     *string `json:"phone"`
	Email     *string `json:"email"`
	FirstName *string `json:"first_name"`
	LastName  *string `json:"last_name"`
}

// paymentObject is a payment. Amounts are decimal strings with the currency's
// number of decimals.
type paymentObject struct {
	PaymentID       string  `json:"payment_id"`
	WalletID        string  `json:"wallet_id"`
	TransactionID   string  `json:"wallet_transaction_id"`
	PaymentMethodID *string `json:"payment_method_id"`
	ReferenceID     string  `json:"reference_id"`
	Status          string  `json:"status"`
	Amount          string  `json:"amount"`
	Currency        string  `json:"currency"`
	// Balance is the wallet's balance right after the payment was credited.
	Balance *string `json:"balance"`
	// AmountBack is the amount that this event sent back, or returned to the
	// wallet.
	AmountBack  *string       `json:"amount_back,omitempty"`
	RedirectURL *string       `json:"redirect_url"`
	Error       *paymentError `json:"error"`
	CreatedAt   string        `json:"created_at"`
	UpdatedAt   string        `json:"updated_at"`
}

type paymentError struct {
	Code        string  `json:"code"`
	Message     string  `json:"message"`
	DeclineCode *string `json:"decline_code"`
}

func newPaymentObject(e wallet.MerchantEvent) paymentObject {
	p := *e.Payment
	o := paymentObject{
		PaymentID:     wallet.Spell(wallet.PrefixPayment, p.Mode, p.ID),
		WalletID:      wallet.Spell(wallet.PrefixWallet, p.Mode, p.WalletID),
		TransactionID: p.WalletTransactionID.String(),
		ReferenceID:   e.Customer.ExternalID,
		Status:        string(p.Status),
		Amount:        wallet.FormatMinor(p.Amount, p.Currency),
		Currency:      string(p.Currency),
		CreatedAt:     seconds(p.CreatedAt),
		UpdatedAt:     seconds(p.UpdatedAt),
	}
	if p.Status == wallet.PaymentSucceeded {
		o.Status = "completed" // the API's name of the status
	}
	if p.PaymentMethodID != nil {
		id := wallet.Spell(wallet.PrefixPaymentMethod, p.Mode, *p.PaymentMethodID)
		o.PaymentMethodID = &id
	}
	if p.BalanceAfter != nil {
		balance := wallet.FormatMinor(*p.BalanceAfter, p.Currency)
		o.Balance = &balance
	}
	if e.MoneyBack != 0 {
		back := wallet.FormatMinor(e.MoneyBack, p.Currency)
		o.AmountBack = &back
	}
	if p.Status == wallet.PaymentRequiresAction {
		o.RedirectURL = nullable.From(p.RedirectURL)
	}
	if p.Status == wallet.PaymentFailed || p.Status == wallet.PaymentCanceled {
		o.Error = &paymentError{Code: p.Failure.Code, Message: p.Failure.Message, DeclineCode: nullable.From(p.Failure.DeclineCode)}
	}
	return o
}

// transactionObject is a wallet transaction.
type transactionObject struct {
	TransactionID string  `json:"wallet_transaction_id"`
	WalletID      string  `json:"wallet_id"`
	Kind          string  `json:"kind"`
	Direction     string  `json:"direction"`
	Status        string  `json:"status"`
	Amount        string  `json:"amount"`
	Currency      string  `json:"currency"`
	Credits       string  `json:"credits"`
	CreatedAt     string  `json:"created_at"`
	SettledAt     *string `json:"settled_at"`
	FailedAt      *string `json:"failed_at"`
}

func newTransactionObject(t wallet.Transaction) transactionObject {
	return transactionObject{
		TransactionID: t.ID.String(),
		WalletID:      wallet.Spell(wallet.PrefixWallet, t.Mode, t.WalletID),
		Kind:          string(t.Kind),
		Direction:     string(t.Type),
		Status:        string(t.Status),
		Amount:        wallet.FormatMinor(t.Amount, t.Currency),
		Currency:      string(t.Currency),
		Credits:       wallet.FormatDecimal(t.CreditAmount),
		CreatedAt:     seconds(t.CreatedAt),
		SettledAt:     secondsOrNull(t.SettledAt),
		FailedAt:      secondsOrNull(t.FailedAt),
	}
}

// walletObject is a wallet.
type walletObject struct {
	WalletID    string `json:"wallet_id"`
	ReferenceID string `json:"reference_id"`
	Status      string `json:"status"`
	Currency    string `json:"currency"`
	Balance     string `json:"balance"`
	Credits     string `json:"credits"`
}

func newWalletObject(w wallet.Wallet) walletObject {
	return walletObject{
		WalletID:    wallet.Spell(wallet.PrefixWallet, w.Mode, w.ID),
		ReferenceID: w.ExternalCustomerID,
		Status:      string(w.Status),
		Currency:    string(w.Currency),
		Balance:     wallet.FormatMinor(w.Balance, w.Currency),
		Credits:     wallet.FormatDecimal(w.CreditsBalance),
	}
}

func seconds(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

func secondsOrNull(t *time.Time) *string {
	if t == nil {
		return nil
	}
	s := seconds(*t)
	return &s
}
