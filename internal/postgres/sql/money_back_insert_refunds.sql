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
from input
