-- name: read_wallet_lots
-- Reads a page of a wallet's lots, or the one of them that only names: inbound
-- transactions of which something is left, in the order in which they are used up.
select id, priority, transaction_status as kind, created_at, remaining_amount as remaining
from wallet_transactions
where wallet_id = @wallet_id
    and remaining_amount > 0
    and (@only::uuid is null or id = @only)
order by priority, transaction_status, created_at, id
limit @size
offset @skip;

-- name: update_lots
-- Writes what is left of inbound transactions after debits have taken from them.
-- What was left before guards: it is what the decision was made from.
update wallet_transactions as t
set remaining_amount = i.after
from (
    select
        unnest(@id::uuid[]) as id,
        unnest(@before::bigint[]) as before,
        unnest(@after::bigint[]) as after
) as i
where t.id = i.id and t.remaining_amount = i.before;

-- name: insert_consumptions
-- Inserts what debits have taken from inbound transactions.
insert into wallet_transaction_consumptions (id, inbound_transaction_id, outbound_transaction_id, amount, created_at)
select
    unnest(@id::uuid[]),
    unnest(@inbound_transaction_id::uuid[]),
    unnest(@outbound_transaction_id::uuid[]),
    unnest(@amount::bigint[]),
    @now::timestamptz;
