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
where t.id = i.id and t.remaining_amount = i.before
