-- name: read_lots
-- Reads a page of the lots that a debit for a payment may take from besides its
-- purchase: inbound transactions of the wallet of which something is left, in the
-- order in which they are used up.
with purchase as (
    -- What the payment brought into the wallet. It is used up first, so that the
    -- other lots are not needed while nothing was spent of it.
    select t.id, t.wallet_id
    from payments p
    join wallet_transactions t on t.id = p.wallet_transaction_id
    where p.id = @payment_id and t.remaining_amount < t.amount
)
select id, priority, transaction_status as kind, created_at, remaining_amount as remaining
from wallet_transactions
where wallet_id = (select wallet_id from purchase)
    and id <> (select id from purchase)
    and remaining_amount > 0
order by priority, transaction_status, created_at, id
limit @size
offset @skip;

-- name: insert_refunds
-- Inserts refunds of one payment. One that Stripe does not have yet was asked for
-- here.
with input as (
    select
        unnest(@id::uuid[]) as id,
        unnest(@stripe_refund_id::text[]) as stripe_refund_id,
        unnest(@amount::bigint[]) as amount,
        unnest(@status::text[]) as status,
        unnest(@reason::text[]) as reason,
        unnest(@failure_reason::text[]) as failure_reason,
        unnest(@debited::bigint[]) as debited,
        unnest(@next_check_at::timestamptz[]) as next_check_at,
        unnest(@created_at::timestamptz[]) as created_at,
        unnest(@updated_at::timestamptz[]) as updated_at
)
insert into refunds (
    id, organization_id, mode, wallet_id, payment_id, stripe_refund_id, requested, amount, currency, status, reason,
    failure_reason, debited, next_check_at, created_at, updated_at
)
select
    id, @organization_id::uuid, @mode::text, @wallet_id::uuid, @payment_id::uuid, stripe_refund_id, stripe_refund_id is null,
    amount, @currency::text, status, reason, failure_reason, debited, next_check_at, created_at, updated_at
from input;

-- name: update_refunds
-- Writes what has changed of refunds.
update refunds as r
set stripe_refund_id = i.stripe_refund_id,
    status = i.status,
    failure_reason = i.failure_reason,
    debited = i.debited,
    -- A refund that stays open keeps the time of its check. One that is no longer
    -- open is not checked: only Stripe's events change it.
    next_check_at = case when i.next_check_at is not null then coalesce(r.next_check_at, i.next_check_at) end,
    updated_at = i.updated_at
from (
    select
        unnest(@id::uuid[]) as id,
        unnest(@stripe_refund_id::text[]) as stripe_refund_id,
        unnest(@status::text[]) as status,
        unnest(@failure_reason::text[]) as failure_reason,
        unnest(@debited::bigint[]) as debited,
        unnest(@next_check_at::timestamptz[]) as next_check_at,
        unnest(@updated_at::timestamptz[]) as updated_at
) as i
where r.id = i.id;

-- name: insert_disputes
-- Inserts disputes of one payment.
with input as (
    select
        unnest(@id::uuid[]) as id,
        unnest(@stripe_dispute_id::text[]) as stripe_dispute_id,
        unnest(@amount::bigint[]) as amount,
        unnest(@status::text[]) as status,
        unnest(@reason::text[]) as reason,
        unnest(@withdrawn::bigint[]) as withdrawn,
        unnest(@reinstated::bigint[]) as reinstated,
        unnest(@funds_currency::text[]) as funds_currency,
        unnest(@debited::bigint[]) as debited,
        unnest(@created_at::timestamptz[]) as created_at,
        unnest(@updated_at::timestamptz[]) as updated_at
)
insert into disputes (
    id, organization_id, mode, wallet_id, payment_id, stripe_dispute_id, amount, currency, status, reason, withdrawn,
    reinstated, funds_currency, debited, created_at, updated_at
)
select
    id, @organization_id::uuid, @mode::text, @wallet_id::uuid, @payment_id::uuid, stripe_dispute_id, amount, @currency::text,
    status, reason, withdrawn, reinstated, funds_currency, debited, created_at, updated_at
from input;

-- name: update_disputes
-- Writes what has changed of disputes.
update disputes as d
set amount = i.amount,
    status = i.status,
    reason = i.reason,
    withdrawn = i.withdrawn,
    reinstated = i.reinstated,
    funds_currency = i.funds_currency,
    debited = i.debited,
    updated_at = i.updated_at
from (
    select
        unnest(@id::uuid[]) as id,
        unnest(@amount::bigint[]) as amount,
        unnest(@status::text[]) as status,
        unnest(@reason::text[]) as reason,
        unnest(@withdrawn::bigint[]) as withdrawn,
        unnest(@reinstated::bigint[]) as reinstated,
        unnest(@funds_currency::text[]) as funds_currency,
        unnest(@debited::bigint[]) as debited,
        unnest(@updated_at::timestamptz[]) as updated_at
) as i
where d.id = i.id;

-- name: insert_lines
-- Inserts the lines that refunds and disputes of one payment put on the wallet's
-- statement. They are settled from the beginning.
with input as (
    select
        unnest(@id::uuid[]) as id,
        unnest(@name::text[]) as name,
        unnest(@transaction_type::text[]) as transaction_type,
        unnest(@transaction_status::text[]) as transaction_status,
        unnest(@amount::bigint[]) as amount,
        unnest(@credit_amount::numeric[]) as credit_amount,
        unnest(@remaining_amount::bigint[]) as remaining_amount
)
insert into wallet_transactions (
    id, organization_id, mode, wallet_id, transaction_type, transaction_status, status, amount, credit_amount,
    remaining_amount, created_at, settled_at, name, priority
)
select
    id, @organization_id::uuid, @mode::text, @wallet_id::uuid, transaction_type, transaction_status, 'settled', amount,
    credit_amount, remaining_amount, @now::timestamptz, @now::timestamptz, name, @priority::smallint
from input;

-- name: insert_transfers
-- Inserts the transfers of refunds and disputes of one payment into the ledger.
with input as (
    select
        unnest(@position::bigint[]) as position,
        unnest(@kind::text[]) as kind,
        unnest(@into_wallet::boolean[]) as into_wallet,
        unnest(@account::text[]) as account,
        unnest(@amount::bigint[]) as amount,
        unnest(@wallet_transaction_id::uuid[]) as wallet_transaction_id,
        unnest(@refund_id::uuid[]) as refund_id,
        unnest(@dispute_id::uuid[]) as dispute_id
), sides as (
    -- The account on the other side is the organization's. Where it is missing the
    -- insert fails, because a transfer has to name both sides.
    select i.*, @wallet_id::uuid as wallet_account, (
        select a.id
        from accounts a
        where a.organization_id = @organization_id::uuid
            and a.mode = @mode::text
            and a.currency = @currency::text
            and a.kind = i.account
    ) as other_account
    from input i
)
insert into transfers (
    debit_account, credit_account, amount, currency, kind, payment_id, wallet_transaction_id, refund_id, dispute_id, created_at
)
select
    case when into_wallet then other_account else wallet_account end,
    case when into_wallet then wallet_account else other_account end,
    amount, @currency::text, kind, @payment_id::uuid, wallet_transaction_id, refund_id, dispute_id, @now::timestamptz
from sides
order by position -- the ids of transfers tell in which order the balance changed;
