package demo

import (
	"context"
	"strings"

	"github.com/fundrail/fundrail/internal/console"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// runBooks prints the ledger and compares it with itself, with the wallet's balance and
// with what Stripe received.
func runBooks(ctx context.Context, s *story) error {
	accounts, err := postgres.SumAccounts(ctx, s.stack.Pool, s.stack.Seed.OrganizationID, wallet.ModeTest)
	if err != nil {
		return err
	}
	rows := [][]string{{"   ACCOUNT", "DEBITS", "CREDITS", "BALANCE"}}
	var sum, inWallet, cleared int64
	for _, a := range accounts {
		balance := a.Credits - a.Debits
		sum += balance
		if a.ID == s.stack.Seed.WalletID {
			inWallet = balance
		}
		if a.Kind == "stripe_clearing" {
			cleared += a.Debits
		}
		if a.Credits != 0 || a.Debits != 0 {
			rows = append(rows, []string{"   " + a.Kind, usd(a.Debits), usd(a.Credits), usd(balance)})
		}
	}
	rows = append(rows, []string{"   " + strings.Repeat("─", 15), "", "", usd(sum)})
	if err := console.PrintTable(s.out, s.paint, rows); err != nil {
		return err
	}
	s.check(sum == 0, "the accounts sum to zero")
	balance, err := s.balance(ctx)
	if err != nil {
		return err
	}
	s.check(balance == inWallet, "the wallet's balance equals that of its account: %s", dollars(inWallet))
	received, count, err := s.stripe.received(ctx, s.stack.Seed.StripeCustomerID)
	if err != nil {
		return err
	}
	s.check(received == cleared, "Stripe received %s in %s, which is what the books say", dollars(received), console.Plural(count, "charge"))
	report, err := postgres.Audit(ctx, s.stack.Pool)
	if err != nil {
		return err
	}
	s.check(len(report.Findings) == 0, "the audit of %s, %s and %s finds no difference", console.Plural(report.Wallets, "wallet"),
		console.Plural(report.Payments, "payment"), console.Plural(report.Transfers, "transfer"))
	return nil
}

func usd(cents int64) string { return wallet.FormatMinor(cents, wallet.USD) }
