package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/breakpoint"
	"github.com/fundrail/fundrail/internal/wallet"
)

// Settlement is an outcome to be turned into state.
type Settlement struct {
	PaymentID wallet.ID
	Outcome   wallet.Outcome
	Cause     wallet.Cause
	// ActionDeadline is until when a challenge may be passed. It is read only
	// when the outcome asks for one.
	ActionDeadline time.Time
	Now            time.Time
	// CloseIntentAt is when somebody looks whether the intent is closed if this
	// outcome fails the payment: CloseIntentAfter now unless given.
	CloseIntentAt time.Time
}

func (s Settlement) closeIntentAt() time.Time {
	if s.CloseIntentAt.IsZero() {
		return s.Now.Add(CloseIntentAfter)
	}
	return s.CloseIntentAt
}

// Applied is what became of a Settlement.
type Applied struct {
	// Payment is the payment as it stands now, whoever moved it.
	Payment wallet.Payment
	// Moved tells whether this outcome moved it.
	Moved bool
	// Announced tells whether something is to be delivered to a merchant, about this
	// payment or another one of the same call.
	Announced bool
}

// lockPayments and lockWallets take the rows of a group in the order of their
// ids, so that two groups cannot wait for each other. The lock is the weak one:
// the strong one would wait for every accept that refers to the same rows.
const (
	lockPayments = `select id from payments where id = any ($1) order by id for no key update`
	lockWallets  = `
		select id from wallets
		where id in (select wallet_id from payments where id = any ($1))
		order by id for no key update`
)

// applyOutcomes moves payments, their wallet transactions and invoices, their
// wallets' balances and the books. Everything hangs on "movable": an outcome is in it only
// if the payment may make the move from where it stands now, so the second caller
// finds nothing to do. A purchase that was paid twice gets a second wallet
// transaction, because money that moved is credited.
const applyOutcomes = `
	with input as (
		select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[],
			$8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::timestamptz[], $14::timestamptz[], $17::uuid[], $18::text[],
			$19::timestamptz[], $20::text[], $21::text[])
		with ordinality as i (payment_id, to_status, intent_id, charge_id, received, received_currency, redirect_url,
			failure_code, decline_code, failure_message, cause_kind, cause_id, deadline, now, spare_id, session_id, close_due_at, decline_class,
			request_id, position)
	), candidates as (
		select i.*, p.status as from_status, p.wallet_id, p.wallet_transaction_id, p.organization_id, p.mode,
			p.payment_method_id, p.amount, p.currency, w.balance, w.traceable, t.credit_amount, t.status as transaction_status, t.invoice_id,
			p.stripe_payment_intent_id is null as intentless,
			p.stripe_payment_intent_id is null or i.intent_id is null or p.stripe_payment_intent_id = i.intent_id as own_intent,
			least(p.amount, i.received) as credit
		from input i
		join payments p on p.id = i.payment_id
		join wallets w on w.id = p.wallet_id
		join wallet_transactions t on t.id = p.wallet_transaction_id
	), movable as (
		select c.*,
			case when c.credit = c.amount then c.credit_amount
				else round(c.credit_amount * c.credit / c.amount, 5) end as credits,
			c.balance + sum(c.credit) filter (where c.to_status = 'succeeded')
				over (partition by c.wallet_id order by c.position) as balance_after,
			c.to_status = 'succeeded' and (c.transaction_status = 'settled' or 1 < count(*) filter (where c.to_status = 'succeeded')
				over (partition by c.wallet_transaction_id order by c.position)) as paid_twice
		from candidates c
		join unnest($15::text[], $16::text[]) as m (from_status, to_status)
			on m.from_status = c.from_status and m.to_status = c.to_status
		where c.own_intent
			and (c.to_status <> 'succeeded' or (c.received > 0 and c.received_currency = c.currency))
	), moved as (
		update payments p
		set status = m.to_status,
			stripe_payment_intent_id = coalesce(p.stripe_payment_intent_id, m.intent_id),
			stripe_charge_id = coalesce(m.charge_id, p.stripe_charge_id),
			stripe_checkout_session_id = coalesce(p.stripe_checkout_session_id, m.session_id),
			wallet_transaction_id = case when m.paid_twice then m.spare_id else p.wallet_transaction_id end,
			amount_received = case when m.to_status = 'succeeded' then m.received end,
			balance_after = case when m.to_status = 'succeeded' then m.balance_after end,
			redirect_url = coalesce(m.redirect_url, p.redirect_url),
			failure_code = coalesce(m.failure_code, p.failure_code),
			failure_decline_code = case when m.failure_code is null then p.failure_decline_code else m.decline_code end,
			failure_message = coalesce(m.failure_message, p.failure_message),
			action_deadline_at = case when m.to_status = 'requires_action' then m.deadline else p.action_deadline_at end,
			close_due_at = case when m.to_status = 'failed' and coalesce(p.stripe_payment_intent_id, m.intent_id) is not null
				and coalesce(p.stripe_checkout_session_id, m.session_id) is null then m.close_due_at end,
			next_check_at = case when m.to_status in ('processing', 'requires_action') then p.next_check_at end,
			updated_at = m.now,
			canceled_at = case when m.to_status = 'canceled' then m.now else p.canceled_at end,
			failed_at = case when m.to_status = 'failed' then m.now else p.failed_at end,
			succeeded_at = case when m.to_status = 'succeeded' then m.now end
		from movable m
		where p.id = m.payment_id and p.status = m.from_status
	), decisive as (
		-- Two payments of one purchase may be in the same call; a success decides.
		select distinct on (wallet_transaction_id) *
		from movable
		where to_status in ('canceled', 'failed', 'succeeded') and not paid_twice
		order by wallet_transaction_id, to_status = 'succeeded' desc, position
	), transactions as (
		update wallet_transactions t
		set status = case when m.to_status = 'succeeded' then 'settled' else 'failed' end,
			amount = case when m.to_status = 'succeeded' then m.credit else t.amount end,
			credit_amount = case when m.to_status = 'succeeded' then m.credits else t.credit_amount end,
			remaining_amount = case when m.to_status = 'succeeded' and m.traceable
				then greatest(0, least(m.credit, m.balance_after)) end,
			settled_at = case when m.to_status = 'succeeded' then m.now end,
			failed_at = case when m.to_status = 'succeeded' then t.failed_at else m.now end
		from decisive m
		where t.id = m.wallet_transaction_id and t.status <> 'settled'
	), bills as (
		update invoices i
		set payment_status = case when m.to_status = 'succeeded' then 'succeeded' else 'failed' end,
			paid_amount = case when m.to_status = 'succeeded' then m.credit else i.paid_amount end,
			status = case when m.to_status = 'succeeded' then 'finalized' else i.status end,
			finalized_at = case when m.to_status = 'succeeded' then coalesce(i.finalized_at, m.now) else i.finalized_at end,
			issuing_date = case when m.to_status = 'succeeded' and i.status = 'open'
				then (m.now at time zone i.timezone)::date else i.issuing_date end,
			updated_at = m.now
		from decisive m
		where i.id = m.invoice_id and i.payment_status <> 'succeeded'
	), spares as (
		insert into wallet_transactions (id, organization_id, mode, wallet_id, transaction_type, transaction_status,
			status, amount, credit_amount, remaining_amount, created_at, settled_at)
		select spare_id, organization_id, mode, wallet_id, 'inbound', 'purchased',
			'settled', credit, credits, case when traceable then greatest(0, least(credit, balance_after)) end, now, now
		from movable where paid_twice
	), identified as (
		update payments p
		set stripe_payment_intent_id = c.intent_id, updated_at = c.now
		from candidates c
		-- That the column is null is asked above: asked here, the planner walks
		-- the nulls of its index, which every accepted payment leaves one of.
		where p.id = c.payment_id and c.intentless and c.intent_id is not null
			and c.from_status = 'processing' and c.to_status = 'processing'
	), balances as (
		update wallets w
		set balance = w.balance + s.credit, credits_balance = w.credits_balance + s.credits,
			last_balance_sync_at = s.now, updated_at = s.now
		from (
			select wallet_id, sum(credit)::bigint as credit, sum(credits) as credits, max(now) as now
			from movable where to_status = 'succeeded' group by wallet_id
		) s
		where w.id = s.wallet_id
	), ledger as (
		insert into transfers (debit_account, credit_account, amount, currency, kind, payment_id, wallet_transaction_id, created_at)
		select a.id, m.wallet_id, m.credit, m.currency, 'settlement', m.payment_id,
			case when m.paid_twice then m.spare_id else m.wallet_transaction_id end, m.now
		from movable m
		left join accounts a on a.organization_id = m.organization_id and a.mode = m.mode and a.currency = m.currency
			and a.kind = 'stripe_clearing'
		where m.to_status = 'succeeded'
		order by m.position
	), trail as (
		insert into payment_moves (payment_id, from_status, to_status, cause_kind, cause_id, stripe_request_id, moved_at)
		select payment_id, from_status, to_status, cause_kind, cause_id, request_id, now
		from movable order by position
	), cards as (
		update payment_methods c
		set error_code = m.failure_code, error_message = m.failure_message,
			error_at = case when m.failure_code is not null then m.now end
		from (
			select distinct on (payment_method_id) payment_method_id, now,
				case when to_status = 'failed' then coalesce(decline_code, failure_code) end as failure_code,
				case when to_status = 'failed' then failure_message end as failure_message
			from movable
			where to_status in ('failed', 'succeeded')
			order by payment_method_id, position desc
		) m
		where c.id = m.payment_method_id and (m.failure_code is not null or c.error_code is not null)
	), fingerprints as (
		select m.position, m.to_status, m.organization_id, m.mode, m.decline_class, m.failure_code, m.payment_id, m.now,
			(select c.fingerprint from payment_methods c where c.id = m.payment_method_id) as fingerprint
		from movable m
		where m.to_status = 'succeeded' or m.decline_class in ('do_not_retry', 'hard')
	), forgiven as (
		delete from card_declines d using fingerprints f
		where f.to_status = 'succeeded'
			and d.organization_id = f.organization_id and d.mode = f.mode and d.fingerprint = f.fingerprint
	), remembered as (
		insert into card_declines as d (organization_id, mode, fingerprint, class, code, payment_id, declined_at)
		select distinct on (organization_id, mode, fingerprint)
			organization_id, mode, fingerprint, decline_class, failure_code, payment_id, now
		from fingerprints f
		where to_status = 'failed' and fingerprint is not null and not exists (
			select from fingerprints s where s.to_status = 'succeeded'
				and s.organization_id = f.organization_id and s.mode = f.mode and s.fingerprint = f.fingerprint)
		order by organization_id, mode, fingerprint, position desc
		on conflict (organization_id, mode, fingerprint) do update
		set class = excluded.class, code = excluded.code, payment_id = excluded.payment_id, declined_at = excluded.declined_at
	), discrepancies as (
		insert into payment_discrepancies (payment_id, kind, stripe_payment_intent_id, expected_amount, expected_currency,
			received_amount, received_currency, cause_kind, cause_id, found_at)
		select payment_id,
			case when not own_intent then 'second_intent'
				when received_currency <> currency then 'currency_mismatch'
				else 'amount_mismatch' end,
			intent_id, amount, currency, received, received_currency, cause_kind, cause_id, now
		from candidates
		where to_status = 'succeeded' and (not own_intent or received <> amount or received_currency <> currency)
		union all
		select payment_id, 'paid_twice', intent_id, amount, currency, received, received_currency, cause_kind, cause_id, now
		from movable
		where paid_twice
		on conflict do nothing
	)
	select payment_id from movable`

// ApplyOutcomes is the one way in which an outcome becomes state. In one
// transaction it moves each payment, its wallet transaction, the credit invoice if
// there is one, and its wallet's two balances, and writes the ledger transfer, the move, any discrepancy and
// what merchants are told of it, all guarded by the payment's state: the second caller changes nothing. It credits at
// most what Stripe received, and nothing in another currency.
//
// The results stand in the order of the input; a payment that does not exist
// yields a zero Applied. No two members of one call may be about the same payment.
func ApplyOutcomes(ctx context.Context, db DB, list []Settlement) ([]Applied, error) {
	n := len(list)
	var (
		ids                                        = make([]wallet.ID, n)
		statuses, causeKinds, causeIDs             = make([]string, n), make([]string, n), make([]string, n)
		intents, charges, currencies, redirects    = make([]*string, n), make([]*string, n), make([]*string, n), make([]*string, n)
		failureCodes, declineCodes, failureMessage = make([]*string, n), make([]*string, n), make([]*string, n)
		received                                   = make([]int64, n)
		deadlines, nows, closings                  = make([]time.Time, n), make([]time.Time, n), make([]time.Time, n)
		spares                                     = make([]wallet.ID, n)
		sessions, classes, requests                = make([]*string, n), make([]*string, n), make([]*string, n)
	)
	for i, s := range list {
		status, _ := s.Outcome.Status() // without one, no move matches
		ids[i], statuses[i] = s.PaymentID, string(status)
		causeKinds[i], causeIDs[i] = string(s.Cause.Kind), s.Cause.ID
		intents[i], charges[i] = orNull(s.Outcome.IntentID), orNull(s.Outcome.ChargeID)
		received[i], currencies[i] = s.Outcome.AmountReceived, orNull(string(s.Outcome.Currency))
		redirects[i], sessions[i] = orNull(s.Outcome.RedirectURL), orNull(s.Outcome.CheckoutSessionID)
		requests[i] = orNull(s.Outcome.RequestID)
		failureCodes[i], declineCodes[i] = orNull(s.Outcome.Failure.Code), orNull(s.Outcome.Failure.DeclineCode)
		failureMessage[i] = orNull(s.Outcome.Failure.Message)
		classes[i] = orNull(string(s.Outcome.Failure.Class))
		deadlines[i], nows[i], closings[i], spares[i] = s.ActionDeadline, s.Now, s.closeIntentAt(), wallet.NewID()
	}
	from, to := wallet.Moves()
	if breakpoint.Broken(breakpoint.SettleGuard) {
		from, to = everyMove()
	}

	var b pgx.Batch
	b.Queue(lockPayments, ids)
	if breakpoint.Broken(breakpoint.WalletLock) {
		b.Queue(`select $1::uuid[]`, ids)
	} else {
		b.Queue(lockWallets, ids)
	}
	b.Queue(applyOutcomes, ids, statuses, intents, charges, received, currencies, redirects,
		failureCodes, declineCodes, failureMessage, causeKinds, causeIDs, deadlines, nows, from, to, spares, sessions, closings, classes, requests)
	b.Queue(announceMoves, ids, statuses, causeKinds, causeIDs, nows)
	b.Queue(`select `+paymentColumns+` from payments p where p.id = any ($1)`, ids)
	results := db.SendBatch(ctx, &b)
	applied, err := readApplied(results, ids)
	if closeErr := results.Close(); err == nil {
		err = closeErr // the commit's error, when db is a pool
	}
	if err != nil {
		return nil, fmt.Errorf("apply %d outcomes: %w", n, err)
	}
	return applied, nil
}

// everyMove is a table of moves that guards nothing, for a test that wants to see
// it missed.
func everyMove() (from, to []wallet.PaymentStatus) {
	for _, f := range wallet.PaymentStatuses {
		for _, t := range wallet.PaymentStatuses {
			from, to = append(from, f), append(to, t)
		}
	}
	return from, to
}

func readApplied(results pgx.BatchResults, ids []wallet.ID) ([]Applied, error) {
	for range 2 { // the locks
		if _, err := results.Exec(); err != nil {
			return nil, err
		}
	}
	rows, _ := results.Query()
	moved, err := pgx.CollectRows(rows, pgx.RowTo[wallet.ID])
	if err != nil {
		return nil, err
	}
	var deliveries int
	if err := results.QueryRow().Scan(&deliveries); err != nil {
		return nil, err
	}
	rows, _ = results.Query()
	payments, err := pgx.CollectRows(rows, scanPayment)
	if err != nil {
		return nil, err
	}
	position := make(map[wallet.ID]int, len(ids))
	for i, id := range ids {
		position[id] = i
	}
	applied := make([]Applied, len(ids))
	for _, p := range payments {
		applied[position[p.ID]] = Applied{Payment: p, Announced: deliveries > 0}
	}
	for _, id := range moved {
		applied[position[id]].Moved = true
	}
	return applied, nil
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
