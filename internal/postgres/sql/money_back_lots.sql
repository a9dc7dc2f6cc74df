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
offset @skip
