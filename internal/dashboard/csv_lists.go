package dashboard

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/postgres/views"
	"github.com/fundrail/fundrail/internal/wallet"
)

// This file has the columns of every list that can be downloaded as CSV.

func (d *Dashboard) writePaymentsCSV(r *request, f views.PaymentFilter) error {
	f.Limit = csvPage
	header := []string{
		"id", "uuid", "status", "amount", "currency", "organization", "customer", "email", "card", "failure_code",
		"payment_intent", "wallet", "created_at", "updated_at",
	}
	return writeCSV(r, "payments", header, func(cursor string) (views.Page[views.PaymentRow], error) {
		if f.Challenge != "" {
			f.Cursor = cursor
		} else if cursor != "" {
			f.Before = uuid.MustParse(cursor) // the cursor is Next of the page before
		}
		return views.ListPaymentRows(r.ctx(), d.Pool, f)
	}, func(p views.PaymentRow) []string {
		return []string{
			wallet.Spell(wallet.PrefixPayment, r.mode, p.ID), p.ID.String(), string(p.Status),
			wallet.FormatMinor(p.Amount, p.Currency), string(p.Currency), p.OrganizationName, r.private(p.ExternalID),
			r.private(p.Email), strings.TrimSpace(p.Brand + " " + r.private(p.Last4)), p.FailureCode, p.IntentID,
			wallet.Spell(wallet.PrefixWallet, r.mode, p.WalletID), csvTime(p.CreatedAt), csvTime(p.UpdatedAt),
		}
	})
}

func (d *Dashboard) writeWalletsCSV(r *request, f views.OwnerFilter) error {
	f.Limit = csvPage
	header := []string{
		"id", "uuid", "organization", "customer", "email", "currency", "balance", "credits_balance", "rate_amount", "primary",
		"created_at",
	}
	return writeCSV(r, "wallets", header, func(cursor string) (views.Page[views.WalletRow], error) {
		if cursor != "" {
			f.Before = uuid.MustParse(cursor) // the cursor is Next of the page before
		}
		return views.ListWalletRows(r.ctx(), d.Pool, f)
	}, func(w views.WalletRow) []string {
		return []string{
			wallet.Spell(wallet.PrefixWallet, r.mode, w.ID), w.ID.String(), w.OrganizationName, r.private(w.ExternalID),
			r.private(w.Email), string(w.Currency), wallet.FormatMinor(w.Balance, w.Currency), w.CreditsBalance.String(),
			w.RateAmount.String(), strconv.FormatBool(w.IsPrimary), csvTime(w.CreatedAt),
		}
	})
}

func (d *Dashboard) writeTransactionsCSV(r *request, w views.WalletRow, lotsOnly bool) error {
	header := []string{
		"id", "type", "transaction_status", "status", "amount", "currency", "credit_amount", "remaining_amount", "payment",
		"created_at", "settled_at", "failed_at",
	}
	return writeCSV(r, "wallet-transactions", header, func(cursor string) (views.Page[views.TransactionRow], error) {
		return views.ListTransactionRows(r.ctx(), d.Pool, w.ID, lotsOnly, cursor, csvPage)
	}, func(t views.TransactionRow) []string {
		remaining, payment := "", ""
		if t.Remaining != nil {
			remaining = wallet.FormatMinor(*t.Remaining, w.Currency)
		}
		if t.PaymentID != nil {
			payment = wallet.Spell(wallet.PrefixPayment, r.mode, *t.PaymentID)
		}
		return []string{
			t.ID.String(), t.Type, t.Kind, string(t.Status), wallet.FormatMinor(t.Amount, w.Currency), string(w.Currency),
			t.CreditAmount.String(), remaining, payment, csvTime(t.CreatedAt), csvTime(t.SettledAt), csvTime(t.FailedAt),
		}
	})
}

func (d *Dashboard) writeLedgerCSV(r *request, w views.WalletRow) error {
	header := []string{"transfer", "kind", "amount", "balance", "currency", "counter_account", "payment", "wallet_transaction", "created_at"}
	return writeCSV(r, "ledger", header, func(cursor string) (views.Page[views.LedgerRow], error) {
		return views.ListLedger(r.ctx(), d.Pool, w.ID, cursor, csvPage)
	}, func(l views.LedgerRow) []string {
		return []string{
			strconv.FormatInt(l.ID, 10), l.Kind, wallet.FormatMinor(l.Amount, l.Currency), wallet.FormatMinor(l.Balance, l.Currency),
			string(l.Currency), l.CounterKind, optional(l.PaymentID), optional(l.TransactionID), csvTime(l.CreatedAt),
		}
	})
}

func (d *Dashboard) writeEventsCSV(r *request, f views.EventRowFilter) error {
	f.Limit = csvPage
	header := []string{
		"id", "type", "status", "source", "deliveries", "object", "payment_intent", "payment", "created_at", "received_at",
		"handled_at", "handled_by", "note",
	}
	return writeCSV(r, "events", header, func(cursor string) (views.Page[views.EventRow], error) {
		f.Cursor = cursor
		return views.ListEventRows(r.ctx(), d.Pool, f)
	}, func(e views.EventRow) []string {
		return []string{
			e.ID, e.Type, string(e.Status), e.Source, strconv.Itoa(e.Deliveries), e.ObjectID, e.IntentID, optional(e.PaymentID),
			csvTime(e.CreatedAt), csvTime(e.ReceivedAt), csvTime(e.HandledAt), e.HandledBy, e.Note,
		}
	})
}

func (d *Dashboard) writeJobsCSV(r *request, f views.JobFilter) error {
	f.Limit = csvPage
	header := []string{
		"id", "state", "kind", "queue", "priority", "attempt", "max_attempts", "payment", "event", "args", "last_error",
		"created_at", "scheduled_at", "attempted_at", "finalized_at",
	}
	return writeCSV(r, "jobs", header, func(cursor string) (views.Page[views.JobRow], error) {
		f.Cursor = cursor
		return views.ListJobs(r.ctx(), d.Pool, f)
	}, func(j views.JobRow) []string {
		lastError := ""
		if failures := j.Failures(); len(failures) > 0 {
			lastError = failures[len(failures)-1].Error
		}
		return []string{
			strconv.FormatInt(j.ID, 10), j.State, j.Kind, j.Queue, strconv.Itoa(j.Priority), strconv.Itoa(j.Attempt),
			strconv.Itoa(j.MaxAttempts), joined(j.PaymentIDs), j.EventID, string(j.Args), lastError,
			csvTime(j.CreatedAt), csvTime(j.ScheduledAt), csvTime(j.AttemptedAt), csvTime(j.FinalizedAt),
		}
	})
}

func (r *request) writeQueuesCSV(list []views.QueueRow) error {
	header := []string{"queue", "available", "running", "retryable", "scheduled", "oldest_at", "paused_at", "paused_by", "reason"}
	return writeCSV(r, "queues", header, func(string) (views.Page[views.QueueRow], error) {
		return views.Page[views.QueueRow]{Rows: list}, nil
	}, func(q views.QueueRow) []string {
		return []string{
			q.Name, strconv.FormatInt(q.Available, 10), strconv.FormatInt(q.Running, 10), strconv.FormatInt(q.Retryable, 10),
			strconv.FormatInt(q.Scheduled, 10), csvTime(q.OldestAt), csvTime(q.PausedAt), r.private(q.PausedBy), q.PauseReason,
		}
	})
}

func (d *Dashboard) writeCustomersCSV(r *request, f views.OwnerFilter) error {
	f.Limit = csvPage
	header := []string{"id", "organization", "external_id", "email", "name", "stripe_customer", "wallets", "created_at"}
	return writeCSV(r, "customers", header, func(cursor string) (views.Page[views.CustomerRow], error) {
		if cursor != "" {
			f.Before = uuid.MustParse(cursor) // the cursor is Next of the page before
		}
		return views.ListCustomerRows(r.ctx(), d.Pool, f)
	}, func(c views.CustomerRow) []string {
		return []string{
			c.ID.String(), c.OrganizationName, r.private(c.ExternalID), r.private(c.Email), r.private(c.Name),
			c.StripeCustomerID, fmt.Sprint(c.Wallets), csvTime(c.CreatedAt),
		}
	})
}

func (d *Dashboard) writeInvoicesCSV(r *request, f views.OwnerFilter) error {
	f.Limit = csvPage
	header := []string{
		"id", "number", "status", "payment_status", "amount", "paid_amount", "currency", "credits", "organization", "customer",
		"payment", "created_at", "finalized_at",
	}
	return writeCSV(r, "invoices", header, func(cursor string) (views.Page[views.InvoiceRow], error) {
		if cursor != "" {
			f.Before = uuid.MustParse(cursor) // the cursor is Next of the page before
		}
		return views.ListInvoiceRows(r.ctx(), d.Pool, f)
	}, func(i views.InvoiceRow) []string {
		return []string{
			i.ID.String(), i.Number, i.Status, i.PaymentStatus, wallet.FormatMinor(i.Amount, i.Currency),
			wallet.FormatMinor(i.PaidAmount, i.Currency), string(i.Currency), i.CreditAmount.String(), i.OrganizationName,
			r.private(i.ExternalID), optional(i.PaymentID), csvTime(i.CreatedAt), csvTime(i.FinalizedAt),
		}
	})
}

// writeAttentionCSV writes the items of all groups into one file.
func (r *request) writeAttentionCSV(page attentionPage) error {
	type row struct {
		group string
		concern
	}
	var list []row
	for _, g := range page.Groups {
		for _, c := range g.List {
			list = append(list, row{g.Title, c})
		}
	}
	header := []string{"concern", "subject", "since", "amount", "what", "next_step", "next_step_at", "proposed_action"}
	return writeCSV(r, "attention", header, func(string) (views.Page[row], error) {
		return views.Page[row]{Rows: list}, nil
	}, func(c row) []string {
		return []string{c.group, c.Title, csvTime(c.Since), c.Amount, c.Text, c.Next, csvTime(c.NextAt), c.Action}
	})
}

func (r *request) writeActionsCSV(fetch func(cursor string) (views.Page[postgres.OperatorAction], error)) error {
	header := []string{"id", "at", "actor", "role", "action", "subject_kind", "subject_id", "reason", "before", "after", "request_id"}
	return writeCSV(r, "audit", header, fetch, func(a postgres.OperatorAction) []string {
		return []string{
			strconv.FormatInt(a.ID, 10), csvTime(a.At), r.private(a.Actor), string(a.Role), a.Action, a.SubjectKind, a.SubjectID,
			a.Reason, string(a.Before), string(a.After), a.RequestID,
		}
	})
}
