package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

// What merchants are told of is written in the transaction of the change itself,
// by a statement behind those that make the change. Such a statement begins with
// the changes, which it reads back, and goes on with announce. Where nobody has
// asked to hear of anything, the condition that anybodyListens is all it costs.
//
// The changes have the columns position, type, object_id, organization_id, mode,
// at, traceparent, amount, and the ids of the rows that go into the snapshot:
// payment_id, transaction_id and wallet_id, each of which may be null.
const (
	anybodyListens = `exists (select from webhook_endpoints where deleted_at is null and status = 'enabled')`

	// announce writes the events that somebody wants to hear of and a delivery for
	// each endpoint that does. A lane that is there is locked, though nothing about
	// it changes: whoever finishes its last delivery must see the new one.
	announce = `
	, heard as (
		select c.*, e.id as endpoint_id
		from changes c
		join webhook_endpoints e on e.organization_id = c.organization_id and e.mode = c.mode
			and e.deleted_at is null and e.status = 'enabled' and c.type = any (e.types)
	), told as materialized (
		select c.*, row_number() over (partition by c.object_id order by c.position) as step,
			count(*) over (partition by c.object_id) as steps,
			` + newIDAt + ` as id
		from (select distinct on (position) * from heard) c
	), sequences as (
		insert into merchant_event_sequences as s (object_id, last_sequence)
		select object_id, max(steps) from told group by object_id order by object_id
		on conflict (object_id) do update set last_sequence = s.last_sequence + excluded.last_sequence
		returning object_id, last_sequence
	), events as (
		insert into merchant_events (id, organization_id, mode, type, object_id, sequence, snapshot, traceparent, created_at)
		select t.id, t.organization_id, t.mode, t.type, t.object_id, s.last_sequence - t.steps + t.step,
			jsonb_build_object('amount', t.amount)
				|| coalesce((select jsonb_build_object('payment', to_jsonb(p)) from payments p where p.id = t.payment_id), '{}')
				|| coalesce((select jsonb_build_object('transaction', to_jsonb(x)) from wallet_transactions x where x.id = t.transaction_id), '{}')
				|| coalesce((select jsonb_build_object('wallet', to_jsonb(w)) from wallets w where w.id = t.wallet_id), '{}'),
			t.traceparent, t.at
		from told t
		join sequences s on s.object_id = t.object_id
		returning id, object_id, sequence
	), sent as (
		insert into deliveries (id, endpoint_id, event_id, object_id, sequence, status, created_at)
		select ` + newIDAt + `, c.endpoint_id, e.id, e.object_id, e.sequence, 'pending', c.at
		from heard c
		join told t on t.position = c.position
		join events e on e.id = t.id
	), lanes as (
		insert into delivery_lanes as l (endpoint_id, object_id, due_at)
		select endpoint_id, object_id, min(at) from heard group by endpoint_id, object_id order by endpoint_id, object_id
		on conflict (endpoint_id, object_id) do update set due_at = l.due_at
	)
	select count(*) from heard`

	// newIDAt makes an id of version 7 for the time c.at.
	newIDAt = `overlay(overlay(encode(uuid_send(gen_random_uuid()), 'hex')
				placing lpad(to_hex((extract(epoch from c.at) * 1000)::bigint), 12, '0') from 1 for 12)
				placing '7' from 13 for 1)::uuid`

	// announceMoves tells of the moves that payments have just made: the payment's
	// event, that of its wallet transaction, and for each wallet one of its balance.
	// A payment comes to a status once, so a move that was told of is not told again.
	announceMoves = `
	with moves as (
		select i.position, p.id as payment_id, p.organization_id, p.mode, p.wallet_id, p.wallet_transaction_id, p.traceparent,
			i.to_status, i.now
		from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::timestamptz[])
			with ordinality as i (payment_id, to_status, cause_kind, cause_id, now, position)
		join payments p on p.id = i.payment_id
		join payment_moves m on m.payment_id = i.payment_id and m.to_status = i.to_status and m.moved_at = i.now
			and m.cause_kind = i.cause_kind and m.cause_id = i.cause_id
		where ` + anybodyListens + `
			and i.to_status in ('canceled', 'failed', 'requires_action', 'succeeded')
			and not exists (select from merchant_events e where e.object_id = p.id and e.type = 'payment.' || i.to_status)
	), changes as (
		select row_number() over (order by position, part) as position, type, object_id, organization_id, mode, now as at,
			traceparent, null::bigint as amount, payment_id, transaction_id, wallet_id
		from (
			select 1 as part, position, 'payment.' || to_status as type, payment_id as object_id, organization_id, mode, now,
				traceparent, payment_id, null::uuid as transaction_id, wallet_id
			from moves
			union all
			select 2, m.position,
				case when exists (select from payment_discrepancies d where d.payment_id = m.payment_id and d.kind = 'paid_twice')
					then 'wallet_transaction.created' else 'wallet_transaction.updated' end,
				t.id, m.organization_id, m.mode, m.now, m.traceparent, null, t.id, m.wallet_id
			from moves m
			join wallet_transactions t on t.id = m.wallet_transaction_id
			where m.to_status = 'succeeded' or (m.to_status in ('canceled', 'failed') and t.status = 'failed' and t.failed_at = m.now)
			union all
			select 3, max(position), 'wallet.balance_updated', wallet_id, organization_id, mode, max(now),
				max(traceparent), null, null, wallet_id
			from moves
			where to_status = 'succeeded'
			group by wallet_id, organization_id, mode
		) parts
	)` + announce

	// announceTransactions tells of wallet transactions: $2 is the type.
	announceTransactions = `
	with changes as (
		select row_number() over (order by t.id) as position, $2::text as type, t.id as object_id, t.organization_id, t.mode,
			case when $2 = 'wallet_transaction.created' then t.created_at else $3::timestamptz end as at,
			null::text as traceparent, null::bigint as amount, null::uuid as payment_id, t.id as transaction_id, t.wallet_id
		from wallet_transactions t
		where ` + anybodyListens + ` and t.id = any ($1::uuid[])
	)` + announce

	// announceWallets tells of wallets: $2 is the type.
	announceWallets = `
	with changes as (
		select row_number() over (order by w.id) as position, $2::text as type, w.id as object_id, w.organization_id, w.mode,
			$3::timestamptz as at, null::text as traceparent, null::bigint as amount,
			null::uuid as payment_id, null::uuid as transaction_id, w.id as wallet_id
		from wallets w
		where ` + anybodyListens + ` and w.id = any ($1::uuid[])
	)` + announce

	// announceMoneyBack tells that an amount, $4, went back of payments or came back
	// again: $2 is the type.
	announceMoneyBack = `
	with changes as (
		select row_number() over (order by p.id) as position, $2::text as type, p.id as object_id, p.organization_id, p.mode,
			$3::timestamptz as at, p.traceparent, $4::bigint as amount,
			p.id as payment_id, null::uuid as transaction_id, p.wallet_id
		from payments p
		where ` + anybodyListens + ` and p.id = any ($1::uuid[])
	)` + announce
)

// announceNow runs one of the statements that tell of rows that have just been
// written, in the transaction that wrote them.
func announceNow(ctx context.Context, tx pgx.Tx, statement string, t wallet.EventType, now time.Time, ids ...wallet.ID) error {
	if _, err := tx.Exec(ctx, statement, ids, string(t), now); err != nil {
		return fmt.Errorf("announce %s: %w", t, err)
	}
	return nil
}
