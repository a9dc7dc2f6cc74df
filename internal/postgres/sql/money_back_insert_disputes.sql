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
from input
