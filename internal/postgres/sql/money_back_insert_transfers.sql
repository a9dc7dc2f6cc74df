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
order by position -- the ids of transfers tell in which order the balance changed
