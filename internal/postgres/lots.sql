-- name: consume_lots
-- Takes amounts out of inbound transactions and inserts what was taken.
with input as (
    select
        unnest(@id::uuid[]) as id,
        unnest(@inbound_transaction_id::uuid[]) as inbound_transaction_id,
        unnest(@outbound_transaction_id::uuid[]) as outbound_transaction_id,
        unnest(@amount::bigint[]) as amount
), lots as (
    update wallet_transactions as t
    set remaining_amount = t.remaining_amount - i.amount
    from input i
    where t.id = i.inbound_transaction_id
)
insert into wallet_transaction_consumptions (id, inbound_transaction_id, outbound_transaction_id, amount, created_at)
select id, inbound_transaction_id, outbound_transaction_id, amount, @now::timestamptz
from input;
