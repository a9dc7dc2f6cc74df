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
where d.id = i.id
