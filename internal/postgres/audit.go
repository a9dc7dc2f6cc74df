package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Finding is one violation of a rule of the books.
type Finding struct {
	// Check is the name of the rule.
	Check string `json:"check"`
	// ID is the id of the row that breaks the rule, or a currency for
	// accounts_sum_to_zero.
	ID string `json:"id"`
	// Detail explains the violation, with the figures.
	Detail string `json:"detail"`
}

// AuditReport is the result of an audit.
type AuditReport struct {
	AuditScope
	Findings []Finding `json:"findings"`
}

// AuditScope counts the rows that an audit checked.
type AuditScope struct {
	Wallets   int64 `json:"wallets"`
	Payments  int64 `json:"payments"`
	Transfers int64 `json:"transfers"`
}

// auditChecks are the rules of the books. Each query returns the rows that break its rule:
// their id and the details. Audit names these two columns.
var auditChecks = []struct{ name, query string }{
	{"balance_equals_account", `
		with flows as (
			select credit_account as account, amount from transfers
			union all
			select debit_account, -amount from transfers
		), sums as (
			select account, sum(amount) as amount from flows group by account
		)
		select w.id::text, format('balance %s, account %s', w.balance, coalesce(s.amount, 0))
		from wallets w left join sums s on s.account = w.id
		where w.balance <> coalesce(s.amount, 0)`},
	{"accounts_sum_to_zero", `
		with flows as (
			select credit_account as account, currency, amount from transfers
			union all
			select debit_account, currency, -amount from transfers
		)
		select currency, format('the accounts sum to %s', sum(amount))
		from flows group by currency having sum(amount) <> 0`},
	{"succeeded_payment_has_one_settlement", `
		select p.id::text, format('%s settlements of %s for %s received', count(t.id), coalesce(sum(t.amount), 0), p.amount_received)
		from payments p
		left join transfers t on t.payment_id = p.id and t.kind = 'settlement'
		where p.status = 'succeeded'
		group by p.id
		having count(t.id) <> 1 or sum(t.amount) <> least(p.amount, p.amount_received)`},
	{"settlement_has_one_succeeded_payment", `
		select t.id::text, format('payment %s is %s', t.payment_id, coalesce(p.status, 'missing'))
		from transfers t
		left join payments p on p.id = t.payment_id
		where t.kind = 'settlement' and (p.id is null or p.status <> 'succeeded' or t.credit_account <> p.wallet_id)`},
	{"settled_transaction_has_transfer", `
		select w.id::text, format('%s transfers of %s for an amount of %s', count(t.id), coalesce(sum(t.amount), 0), w.amount)
		from wallet_transactions w
		left join transfers t on t.wallet_transaction_id = w.id
		where w.status = 'settled' and w.amount > 0
		group by w.id
		having count(t.id) <> 1 or sum(t.amount) <> w.amount`},
	{"transfer_has_settled_transaction", `
		select t.id::text, format('wallet transaction %s is %s', t.wallet_transaction_id, w.status)
		from transfers t
		join wallet_transactions w on w.id = t.wallet_transaction_id
		where w.status <> 'settled'`},
	{"refund_transfers_equal_debited", `
		select r.id::text, format('debited %s by transfers of %s', r.debited, coalesce(sum(t.amount * case t.kind when 'refund' then 1 else -1 end), 0))
		from refunds r
		left join transfers t on t.refund_id = r.id
		group by r.id
		having r.debited <> coalesce(sum(t.amount * case t.kind when 'refund' then 1 else -1 end), 0)`},
	{"dispute_transfers_equal_debited", `
		select d.id::text, format('debited %s by transfers of %s', d.debited, coalesce(sum(t.amount * case t.kind when 'dispute' then 1 else -1 end), 0))
		from disputes d
		left join transfers t on t.dispute_id = d.id
		group by d.id
		having d.debited <> coalesce(sum(t.amount * case t.kind when 'dispute' then 1 else -1 end), 0)`},
	{"money_back_stays_with_its_payment", `
		select t.id::text, format('%s of payment %s from %s to %s', t.kind, t.payment_id, d.kind, c.kind)
		from transfers t
		join payments p on p.id = t.payment_id
		join accounts d on d.id = t.debit_account
		join accounts c on c.id = t.credit_account
		left join refunds r on r.id = t.refund_id
		left join disputes x on x.id = t.dispute_id
		where t.kind in ('dispute', 'dispute_reversal', 'refund', 'refund_reversal')
			and (coalesce(r.payment_id, x.payment_id) <> t.payment_id
				or (case when t.kind in ('dispute', 'refund') then t.debit_account else t.credit_account end) <> p.wallet_id
				or (case when t.kind in ('dispute', 'refund') then c.kind else d.kind end)
					<> (case when t.refund_id is not null then 'refunds' else 'disputes' end))`},
	{"money_back_is_at_most_what_was_credited", `
		select p.id::text, format('refunded %s and disputed %s, by their rows %s and %s, of %s credited',
			p.refunded, p.disputed, coalesce(r.debited, 0), coalesce(d.debited, 0), least(p.amount, p.amount_received))
		from payments p
		left join (select payment_id, sum(debited) as debited from refunds group by payment_id) r on r.payment_id = p.id
		left join (select payment_id, sum(debited) as debited from disputes group by payment_id) d on d.payment_id = p.id
		where p.refunded <> coalesce(r.debited, 0) or p.disputed <> coalesce(d.debited, 0)
			or p.refunded + p.disputed > coalesce(least(p.amount, p.amount_received), 0)`},
	{"transfer_stays_in_its_currency_and_mode", `
		select t.id::text, format('%s between %s/%s and %s/%s', t.currency, d.currency, d.mode, c.currency, c.mode)
		from transfers t
		join accounts d on d.id = t.debit_account
		join accounts c on c.id = t.credit_account
		where d.currency <> t.currency or c.currency <> t.currency or d.mode <> c.mode
			or d.organization_id <> c.organization_id`},
	{"moves_lead_to_the_state", `
		select p.id::text, format('the last move led to %s, the payment is %s', m.to_status, p.status)
		from payments p
		left join lateral (
			select to_status from payment_moves m where m.payment_id = p.id order by m.id desc limit 1
		) m on true
		where p.status <> coalesce(m.to_status, 'created')`},
	{"credits_balance_equals_transactions", `
		select w.id::text, format('credits balance %s, transactions %s', w.credits_balance, coalesce(s.credits, 0))
		from wallets w
		left join (
			select wallet_id, sum(case transaction_type when 'inbound' then credit_amount else -credit_amount end) as credits
			from wallet_transactions where status = 'settled' group by wallet_id
		) s on s.wallet_id = w.id
		where w.credits_balance <> coalesce(s.credits, 0)`},
	{"consumed_credits_equal_transactions", `
		select w.id::text, format('consumed credits %s, transactions %s', w.consumed_credits, coalesce(s.credits, 0))
		from wallets w
		left join (
			select wallet_id, sum(credit_amount) as credits
			from wallet_transactions where transaction_type = 'outbound' group by wallet_id
		) s on s.wallet_id = w.id
		where w.consumed_credits <> coalesce(s.credits, 0)`},
	{"remaining_equals_balance", `
		select w.id::text, format('%s left of a balance of %s', coalesce(sum(t.remaining_amount), 0), w.balance)
		from wallets w
		left join wallet_transactions t on t.wallet_id = w.id
		where w.traceable
		group by w.id
		having coalesce(sum(t.remaining_amount), 0) <> greatest(w.balance, 0)`},
	// A refund or dispute may take a balance below zero. Money that arrives then fills the
	// gap. That part of it is neither remaining nor consumed.
	{"remaining_equals_inbound_less_consumed", `
		select t.id::text, format('%s left of %s with %s consumed', t.remaining_amount, t.amount, coalesce(sum(c.amount), 0))
		from wallet_transactions t
		join wallets w on w.id = t.wallet_id and w.traceable
		left join wallet_transaction_consumptions c on c.inbound_transaction_id = t.id
		where t.transaction_type = 'inbound' and t.status = 'settled'
		group by t.id
		having t.remaining_amount is null or t.remaining_amount > t.amount - coalesce(sum(c.amount), 0)
			or (t.remaining_amount < t.amount - coalesce(sum(c.amount), 0)
				and not exists (select from transfers b where b.debit_account = t.wallet_id and b.kind in ('dispute', 'refund')))`},
	{"outbound_equals_consumed", `
		select t.id::text, format('%s consumed for an amount of %s', coalesce(sum(c.amount), 0), t.amount)
		from wallet_transactions t
		join wallets w on w.id = t.wallet_id and w.traceable
		left join wallet_transaction_consumptions c on c.outbound_transaction_id = t.id
		where t.transaction_type = 'outbound'
		group by t.id
		having t.amount < coalesce(sum(c.amount), 0)
			or (t.amount > coalesce(sum(c.amount), 0)
				and not exists (select from transfers b where b.wallet_transaction_id = t.id and b.kind in ('dispute', 'refund')))`},
	{"consumption_stays_in_its_wallet", `
		select c.id::text, format('from %s %s in wallet %s to %s %s in wallet %s',
			i.transaction_type, i.mode, i.wallet_id, o.transaction_type, o.mode, o.wallet_id)
		from wallet_transaction_consumptions c
		join wallet_transactions i on i.id = c.inbound_transaction_id
		join wallet_transactions o on o.id = c.outbound_transaction_id
		where i.wallet_id <> o.wallet_id or i.mode <> o.mode or i.organization_id <> o.organization_id
			or i.transaction_type <> 'inbound' or o.transaction_type <> 'outbound'`},
	{"invoice_agrees_with_its_transaction", `
		select i.id::text, format('invoice %s, paid %s of %s, payment %s; wallet transaction %s of %s',
			i.status, i.paid_amount, i.amount, i.payment_status, t.status, t.amount)
		from invoices i
		join wallet_transactions t on t.id = i.wallet_transaction_id
		where t.invoice_id is distinct from i.id or t.transaction_status <> 'purchased'
			or i.wallet_id <> t.wallet_id or i.mode <> t.mode or i.organization_id <> t.organization_id
			or (i.payment_status = 'succeeded') <> (t.status = 'settled')
			or (t.status = 'settled' and i.paid_amount <> t.amount)
			or (t.status <> 'settled' and i.amount <> t.amount)
			or (t.status = 'pending' and i.payment_status <> 'pending')`},
	{"invoice_numbers_have_no_gaps", `
		select coalesce(n.organization_id, i.organization_id)::text,
			format('%s invoices with numbers from %s to %s, the last assigned number is %s', i.count, i.first, i.last, n.last_number)
		from invoice_numbers n
		full join (
			select organization_id, mode, count(*) as count, min(sequential_id) as first, max(sequential_id) as last
			from invoices where sequential_id is not null group by organization_id, mode
		) i on i.organization_id = n.organization_id and i.mode = n.mode
		where coalesce(i.count, 0) <> coalesce(n.last_number, 0) or coalesce(i.last, 0) <> coalesce(n.last_number, 0)
			or coalesce(i.first, 1) <> 1`},
}

// Beginner begins transactions. It is a pool or a connection.
type Beginner interface {
	BeginTx(ctx context.Context, opts pgx.TxOptions) (pgx.Tx, error)
}

// Audit checks the wallets against the ledger and the ledger against the payments. It
// reads one snapshot, so it can run while money moves.
func Audit(ctx context.Context, db Beginner) (AuditReport, error) {
	report := AuditReport{Findings: []Finding{}}
	tx, err := db.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return report, fmt.Errorf("audit: %w", err)
	}
	defer func() { _ = tx.Rollback(ctx) }() // nothing was written
	rows, _ := tx.Query(ctx, `
		select (select count(*) from wallets) as wallets, (select count(*) from payments) as payments,
			(select count(*) from transfers) as transfers`)
	report.AuditScope, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[AuditScope])
	if err != nil {
		return report, fmt.Errorf("audit: %w", err)
	}
	for _, check := range auditChecks {
		rows, _ := tx.Query(ctx, `select @check::text as check, id, detail from (`+check.query+`) f (id, detail)`,
			params{"check": check.name})
		found, err := pgx.CollectRows(rows, pgx.RowToStructByName[Finding])
		if err != nil {
			return report, fmt.Errorf("audit %s: %w", check.name, err)
		}
		report.Findings = append(report.Findings, found...)
	}
	return report, nil
}
