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
from input
