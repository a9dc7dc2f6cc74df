package main

import (
	"context"
	"strings"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// tellBooks shows the ledger and proves it: against itself, against the
// payments, and against what Stripe took.
func tellBooks(ctx context.Context, s *story) error {
	accounts, err := postgres.SumAccounts(ctx, s.stack.pool, s.stack.seed.OrganizationID, wallet.ModeTest)
	if err != nil {
		return err
	}
	rows := [][]string{{"   ACCOUNT", "DEBITS", "CREDITS", "BALANCE"}}
	var sum, inWallet, cleared int64
	for _, a := range accounts {
		balance := a.Credits - a.Debits
		sum += balance
		if a.ID == s.stack.seed.WalletID {
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
	if err := s.printTable(rows); err != nil {
		return err
	}
	s.check(sum == 0, "the accounts sum to zero")
	balance, err := s.balance(ctx)
	if err != nil {
		return err
	}
	s.check(balance == inWallet, "the wallet's balance is its account's: %s", dollars(inWallet))
	taken, count, err := s.stack.sim.taken(ctx, s.stack.seed.StripeCustomerID)
	if err != nil {
		return err
	}
	s.check(taken == cleared, "Stripe took %s in %s: what was charged is what was credited", dollars(taken), plural(count, "charge"))
	report, err := postgres.Audit(ctx, s.stack.pool)
	if err != nil {
		return err
	}
	s.check(len(report.Findings) == 0, "%s", auditSummary(report))
	return nil
}

func usd(cents int64) string { return wallet.FormatMinor(cents, wallet.USD) }
