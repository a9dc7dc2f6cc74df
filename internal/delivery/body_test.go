package delivery

import (
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/openapitest"
	"github.com/fundrail/fundrail/internal/wallet"
)

// TestBodyIsAsDescribed checks the standard payload of every event against the
// API's description, once with all fields set and once with as few as possible.
func TestBodyIsAsDescribed(t *testing.T) {
	t.Parallel()

	now := time.Date(2026, 3, 14, 9, 26, 53, 123_456_789, time.UTC)
	balance := int64(12_500)
	method := wallet.NewID()
	full := wallet.Payment{
		ID: wallet.NewID(), Mode: wallet.ModeTest, WalletID: wallet.NewID(), WalletTransactionID: wallet.NewID(),
		PaymentMethodID: &method, Amount: 2500, Currency: wallet.USD, BalanceAfter: &balance,
		RedirectURL: "https://bank.example/challenge?a=1&b=2", CreatedAt: now, UpdatedAt: now,
		Failure: wallet.Failure{Code: "card_declined", Message: "Declined.", DeclineCode: "generic_decline"},
	}
	bare := wallet.Payment{ID: full.ID, Mode: wallet.ModeLive, Amount: 500, Currency: "JPY", CreatedAt: now, UpdatedAt: now}
	transaction := wallet.Transaction{
		ID: wallet.NewID(), Mode: wallet.ModeTest, WalletID: wallet.NewID(), Kind: wallet.TransactionPurchased,
		Type: wallet.TransactionInbound, Status: wallet.TransactionSettled, Amount: 2500, Currency: wallet.USD,
		CreditAmount: decimal.New(25, 0), CreatedAt: now, SettledAt: &now,
	}
	purse := wallet.Wallet{
		ID: wallet.NewID(), Mode: wallet.ModeTest, ExternalCustomerID: "ada", Status: wallet.WalletActive,
		Currency: wallet.USD, Balance: -100, CreditsBalance: decimal.New(-1, 0),
	}
	check := func(e wallet.MerchantEvent) {
		e.ID, e.Mode, e.Sequence, e.CreatedAt = wallet.NewID(), wallet.ModeTest, 1, now
		body, err := Body(wallet.SignatureStandard, e)
		require.NoError(t, err)
		require.NoError(t, openapitest.CheckSchema("Event", body), "%s", body)
	}

	for _, event := range wallet.DeliveryTypes {
		switch event {
		case wallet.DeliveryWalletBalanceUpdated, wallet.DeliveryWalletCreated, wallet.DeliveryWalletTerminated, wallet.DeliveryWalletUpdated:
			check(wallet.MerchantEvent{Type: event, Wallet: &purse})
		case wallet.DeliveryTransactionCreated, wallet.DeliveryTransactionUpdated:
			check(wallet.MerchantEvent{Type: event, Transaction: &transaction, Wallet: &purse})
		default:
			for _, status := range wallet.PaymentStatuses {
				if status == wallet.PaymentCreated {
					continue // this type is not sent to merchants
				}
				full.Status, bare.Status = status, status
				check(wallet.MerchantEvent{Type: event, Payment: &full, Wallet: &purse, MoneyBack: 100})
				check(wallet.MerchantEvent{Type: event, Payment: &bare})
			}
		}
	}
}
