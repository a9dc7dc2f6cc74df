-- name: announce_changes
-- Tells merchants' endpoints of changes, in the transaction of the changes and
-- behind them, because the snapshots show the rows as they are now. Where no endpoint
-- asks for anything, the condition of the first step is all that it costs.
with changes as (
    select * from (
        select
            unnest(@position::bigint[])      as position,
            unnest(@type::text[])            as type,
            unnest(@object_id::uuid[])       as object_id,
            unnest(@organization_id::uuid[]) as organization_id,
            unnest(@mode::text[])            as mode,
            unnest(@payment_id::uuid[])      as payment_id,
            unnest(@transaction_id::uuid[])  as transaction_id,
            unnest(@wallet_id::uuid[])       as wallet_id,
            unnest(@amount::bigint[])        as amount,
            unnest(@traceparent::text[])     as traceparent,
            unnest(@at::timestamptz[])       as at
    ) c
    where exists (select from webhook_endpoints where deleted_at is null and status = 'enabled')
), asked_for as (
    -- A purchase whose idempotency key was taken was not made, and is not announced. If
    -- the key was taken by an attempt before this one, whose commit was in doubt, the
    -- purchase is there, and was announced by that attempt.
    select c.*, e.id as endpoint_id
    from changes c
    join webhook_endpoints e on e.organization_id = c.organization_id and e.mode = c.mode
        and e.deleted_at is null and e.status = 'enabled' and c.type = any (e.types)
    where (c.transaction_id is null or exists (select from wallet_transactions t where t.id = c.transaction_id))
        and (c.type <> @created::text or not exists (
            select from merchant_events v where v.object_id = c.object_id and v.type = c.type))
), announced as materialized (
    select c.*, row_number() over (partition by c.object_id order by c.position) as step,
        count(*) over (partition by c.object_id) as steps,
        {{new_id}} as id
    from (select distinct on (position) * from asked_for) c
), sequences as (
    -- The events of an object are counted without gaps.
    insert into merchant_event_sequences as s (object_id, last_sequence)
    select object_id, max(steps) from announced group by object_id order by object_id
    on conflict (object_id) do update set last_sequence = s.last_sequence + excluded.last_sequence
    returning object_id, last_sequence
), events as (
    insert into merchant_events (id, organization_id, mode, type, object_id, sequence, snapshot, traceparent, created_at)
    select a.id, a.organization_id, a.mode, a.type, a.object_id, s.last_sequence - a.steps + a.step,
        jsonb_build_object('amount', a.amount)
            || coalesce((select jsonb_build_object('payment', to_jsonb(p)) from payments p where p.id = a.payment_id), '{}')
            || coalesce((select jsonb_build_object('transaction', to_jsonb(x)) from wallet_transactions x where x.id = a.transaction_id), '{}')
            || coalesce((select jsonb_build_object('wallet', to_jsonb(w)) from wallets w where w.id = a.wallet_id), '{}'),
        a.traceparent, a.at
    from announced a
    join sequences s on s.object_id = a.object_id
    returning id, object_id, sequence
), sent as (
    insert into deliveries (id, endpoint_id, event_id, object_id, sequence, status, created_at)
    select {{new_id}}, c.endpoint_id, e.id, e.object_id, e.sequence, 'pending', c.at
    from asked_for c
    join announced a on a.position = c.position
    join events e on e.id = a.id
), lanes as (
    -- A lane that is there is locked, though nothing about it changes: the job that
    -- finishes its last delivery must see the new one.
    insert into delivery_lanes as l (endpoint_id, object_id, due_at)
    select endpoint_id, object_id, min(at) from asked_for group by endpoint_id, object_id order by endpoint_id, object_id
    on conflict (endpoint_id, object_id) do update set due_at = l.due_at
)
select count(*) from asked_for;
