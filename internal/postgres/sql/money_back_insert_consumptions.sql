-- Inserts what debits have taken from inbound transactions.
insert into wallet_transaction_consumptions (id, inbound_transaction_id, outbound_transaction_id, amount, created_at)
select
    unnest(@id::uuid[]),
    unnest(@inbound_transaction_id::uuid[]),
    unnest(@outbound_transaction_id::uuid[]),
    unnest(@amount::bigint[]),
    @now::timestamptz
