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
where r.id = i.id
