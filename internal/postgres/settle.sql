-- name: lock_payments
-- Two groups take their rows in the same order, so neither can wait for the other
-- while the other waits for it. The lock is the weak one: the strong one would make
-- settling wait for every accept that refers to the same rows.
select id from payments where id = any (@ids::uuid[]) order by id for no key update;

-- name: lock_wallets
select id from wallets
where id in (select wallet_id from payments where id = any (@ids::uuid[]))
order by id
for no key update;

-- name: read_settle_states
-- A statement of its own behind the locks. One that locked and read at once would
-- see purchases as they were before another settlement of the same wallet ended.
select
    {{payment_columns}},
    t.status           as transaction_status,
    t.amount           as transaction_amount,
    t.credit_amount    as transaction_credit_amount,
    t.remaining_amount as transaction_remaining_amount,
    t.settled_at       as transaction_settled_at,
    t.failed_at        as transaction_failed_at,
    w.balance          as wallet_balance,
    w.credits_balance  as wallet_credits_balance,
    w.traceable        as wallet_traceable,
    w.updated_at       as wallet_updated_at,
    i.id               as invoice_id,
    i.status           as invoice_status,
    i.payment_status   as invoice_payment_status,
    i.paid_amount      as invoice_paid_amount,
    i.finalized_at     as invoice_finalized_at,
    m.fingerprint      as card_fingerprint,
    m.error_code       as card_error_code,
    m.error_message    as card_error_message,
    m.error_at         as card_error_at,
    d.class            as barred_class,
    d.code             as barred_code,
    d.payment_id       as barred_payment_id,
    d.declined_at      as barred_declined_at,
    a.id               as clearing_account,
    exists (
        select from webhook_endpoints e
        where e.organization_id = p.organization_id and e.mode = p.mode and e.deleted_at is null and e.status = 'enabled'
    )                  as listened_to
from payments p
join wallet_transactions t on t.id = p.wallet_transaction_id
join wallets w on w.id = p.wallet_id
left join invoices i on i.id = t.invoice_id
left join payment_methods m on m.id = p.payment_method_id
left join card_declines d on d.organization_id = p.organization_id and d.mode = p.mode and d.fingerprint = m.fingerprint
left join accounts a on a.organization_id = p.organization_id and a.mode = p.mode and a.currency = p.currency
    and a.kind = 'stripe_clearing'
where p.id = any (@ids::uuid[]);

-- name: insert_settled_transactions
-- Purchases that were paid for twice: the second time is a line of its own.
insert into wallet_transactions (id, organization_id, mode, wallet_id, transaction_type, transaction_status, status,
    amount, credit_amount, remaining_amount, created_at, settled_at)
select id, organization_id, mode, wallet_id, 'inbound', 'purchased', 'settled',
    amount, credit_amount, remaining_amount, settled_at, settled_at
from (
    select
        unnest(@id::uuid[])                 as id,
        unnest(@organization_id::uuid[])    as organization_id,
        unnest(@mode::text[])               as mode,
        unnest(@wallet_id::uuid[])          as wallet_id,
        unnest(@amount::bigint[])           as amount,
        unnest(@credit_amount::numeric[])   as credit_amount,
        unnest(@remaining_amount::bigint[]) as remaining_amount,
        unnest(@settled_at::timestamptz[])  as settled_at
) r;

-- name: update_payments
-- The state that the decision was made for stands in the condition once more. Times
-- that the move does not set stay.
update payments p
set status                     = r.status,
    wallet_transaction_id      = r.wallet_transaction_id,
    stripe_payment_intent_id   = r.stripe_payment_intent_id,
    stripe_charge_id           = r.stripe_charge_id,
    stripe_checkout_session_id = r.stripe_checkout_session_id,
    amount_received            = r.amount_received,
    balance_after              = r.balance_after,
    redirect_url               = r.redirect_url,
    failure_code               = r.failure_code,
    failure_decline_code       = r.failure_decline_code,
    failure_message            = r.failure_message,
    action_deadline_at         = r.action_deadline_at,
    close_due_at               = r.close_due_at,
    next_check_at              = r.next_check_at,
    updated_at                 = r.updated_at,
    canceled_at                = coalesce(r.canceled_at, p.canceled_at),
    failed_at                  = coalesce(r.failed_at, p.failed_at),
    succeeded_at               = coalesce(r.succeeded_at, p.succeeded_at)
from (
    select
        unnest(@id::uuid[])                         as id,
        unnest(@from_status::text[])                as from_status,
        unnest(@status::text[])                     as status,
        unnest(@wallet_transaction_id::uuid[])      as wallet_transaction_id,
        unnest(@stripe_payment_intent_id::text[])   as stripe_payment_intent_id,
        unnest(@stripe_charge_id::text[])           as stripe_charge_id,
        unnest(@stripe_checkout_session_id::text[]) as stripe_checkout_session_id,
        unnest(@amount_received::bigint[])          as amount_received,
        unnest(@balance_after::bigint[])            as balance_after,
        unnest(@redirect_url::text[])               as redirect_url,
        unnest(@failure_code::text[])               as failure_code,
        unnest(@failure_decline_code::text[])       as failure_decline_code,
        unnest(@failure_message::text[])            as failure_message,
        unnest(@action_deadline_at::timestamptz[])  as action_deadline_at,
        unnest(@close_due_at::timestamptz[])        as close_due_at,
        unnest(@next_check_at::timestamptz[])       as next_check_at,
        unnest(@updated_at::timestamptz[])          as updated_at,
        unnest(@canceled_at::timestamptz[])         as canceled_at,
        unnest(@failed_at::timestamptz[])           as failed_at,
        unnest(@succeeded_at::timestamptz[])        as succeeded_at
) r
where p.id = r.id and p.status = r.from_status;

-- name: update_purchases
update wallet_transactions t
set status           = r.status,
    amount           = r.amount,
    credit_amount    = r.credit_amount,
    remaining_amount = r.remaining_amount,
    settled_at       = r.settled_at,
    failed_at        = r.failed_at
from (
    select
        unnest(@id::uuid[])                 as id,
        unnest(@status::text[])             as status,
        unnest(@amount::bigint[])           as amount,
        unnest(@credit_amount::numeric[])   as credit_amount,
        unnest(@remaining_amount::bigint[]) as remaining_amount,
        unnest(@settled_at::timestamptz[])  as settled_at,
        unnest(@failed_at::timestamptz[])   as failed_at
) r
where t.id = r.id and t.status <> 'settled';

-- name: update_invoices
-- The issuing date is a day in the customer's time zone.
update invoices i
set status         = r.status,
    payment_status = r.payment_status,
    paid_amount    = r.paid_amount,
    finalized_at   = r.finalized_at,
    issuing_date   = coalesce((r.issued_at at time zone i.timezone)::date, i.issuing_date),
    updated_at     = r.updated_at
from (
    select
        unnest(@id::uuid[])                  as id,
        unnest(@status::text[])              as status,
        unnest(@payment_status::text[])      as payment_status,
        unnest(@paid_amount::bigint[])       as paid_amount,
        unnest(@finalized_at::timestamptz[]) as finalized_at,
        unnest(@issued_at::timestamptz[])    as issued_at,
        unnest(@updated_at::timestamptz[])   as updated_at
) r
where i.id = r.id and i.payment_status <> 'succeeded';

-- name: update_balances
-- The balance that the decision was made for stands in the condition: it holds
-- because the row is locked, and a decision on another balance must not be stored.
update wallets w
set balance              = r.balance,
    credits_balance      = r.credits_balance,
    last_balance_sync_at = r.updated_at,
    updated_at           = r.updated_at
from (
    select
        unnest(@id::uuid[])                 as id,
        unnest(@balance_before::bigint[])   as balance_before,
        unnest(@balance::bigint[])          as balance,
        unnest(@credits_balance::numeric[]) as credits_balance,
        unnest(@updated_at::timestamptz[])  as updated_at
) r
where w.id = r.id and w.balance = coalesce(r.balance_before, w.balance);

-- name: insert_transfers
insert into transfers (debit_account, credit_account, amount, currency, kind, payment_id, wallet_transaction_id, created_at)
select
    unnest(@debit_account::uuid[]),
    unnest(@credit_account::uuid[]),
    unnest(@amount::bigint[]),
    unnest(@currency::text[]),
    'settlement',
    unnest(@payment_id::uuid[]),
    unnest(@wallet_transaction_id::uuid[]),
    unnest(@created_at::timestamptz[]);

-- name: insert_moves
insert into payment_moves (payment_id, from_status, to_status, cause_kind, cause_id, stripe_request_id, moved_at)
select
    unnest(@payment_id::uuid[]),
    unnest(@from_status::text[]),
    unnest(@to_status::text[]),
    unnest(@cause_kind::text[]),
    unnest(@cause_id::text[]),
    unnest(@stripe_request_id::text[]),
    unnest(@moved_at::timestamptz[]);

-- name: update_cards
-- Cards are locked in the order of their ids, as payments and wallets are.
with locked as (
    select id from payment_methods where id = any (@id::uuid[]) order by id for no key update
)
update payment_methods c
set error_code    = r.error_code,
    error_message = r.error_message,
    error_at      = r.error_at
from (
    select
        unnest(@id::uuid[])              as id,
        unnest(@error_code::text[])      as error_code,
        unnest(@error_message::text[])   as error_message,
        unnest(@error_at::timestamptz[]) as error_at
) r
join locked on locked.id = r.id
where c.id = r.id;

-- name: forgive_cards
delete from card_declines d
using (
    select
        unnest(@organization_id::uuid[]) as organization_id,
        unnest(@mode::text[])            as mode,
        unnest(@fingerprint::text[])     as fingerprint
) r
where d.organization_id = r.organization_id and d.mode = r.mode and d.fingerprint = r.fingerprint;

-- name: bar_cards
insert into card_declines (organization_id, mode, fingerprint, class, code, payment_id, declined_at)
select organization_id, mode, fingerprint, class, code, payment_id, declined_at
from (
    select
        unnest(@organization_id::uuid[])    as organization_id,
        unnest(@mode::text[])               as mode,
        unnest(@fingerprint::text[])        as fingerprint,
        unnest(@class::text[])              as class,
        unnest(@code::text[])               as code,
        unnest(@payment_id::uuid[])         as payment_id,
        unnest(@declined_at::timestamptz[]) as declined_at
) r
order by organization_id, mode, fingerprint
on conflict (organization_id, mode, fingerprint) do update
set class       = excluded.class,
    code        = excluded.code,
    payment_id  = excluded.payment_id,
    declined_at = excluded.declined_at;

-- name: insert_discrepancies
-- An event that comes again finds the same discrepancy again.
insert into payment_discrepancies (payment_id, kind, stripe_payment_intent_id, expected_amount, expected_currency,
    received_amount, received_currency, cause_kind, cause_id, found_at)
select
    unnest(@payment_id::uuid[]),
    unnest(@kind::text[]),
    unnest(@stripe_payment_intent_id::text[]),
    unnest(@expected_amount::bigint[]),
    unnest(@expected_currency::text[]),
    unnest(@received_amount::bigint[]),
    unnest(@received_currency::text[]),
    unnest(@cause_kind::text[]),
    unnest(@cause_id::text[]),
    unnest(@found_at::timestamptz[])
on conflict do nothing;

-- name: find_free_payments
-- Payments that could be settled now: no other transaction holds a row that settling
-- them may change or refer to, whatever the outcome is. The transaction ends at once,
-- so the locks are given back. Rows that another transaction is inserting cannot be
-- seen: the first decline of a card, the first delivery of an object.
with wanted as materialized (
    select p.id, p.organization_id, p.mode, p.wallet_id, p.wallet_transaction_id, p.payment_method_id,
        t.invoice_id, m.fingerprint, a.id as clearing_account
    from payments p
    join wallet_transactions t on t.id = p.wallet_transaction_id
    left join payment_methods m on m.id = p.payment_method_id
    left join accounts a on a.organization_id = p.organization_id and a.mode = p.mode and a.currency = p.currency
        and a.kind = 'stripe_clearing'
    where p.id = any (@ids::uuid[])
), free_payments as (
    select id from payments
    where id in (select id from wanted) and stripe_payment_intent_id is not null
    order by id
    for no key update skip locked
), free_new_payments as (
    -- The intent's id is a key, so a payment that learns it waits for those who refer
    -- to the payment too.
    select id from payments
    where id in (select id from wanted) and stripe_payment_intent_id is null
    order by id
    for update skip locked
), free_wallets as (
    select id from wallets where id in (select wallet_id from wanted) order by id for no key update skip locked
), free_transactions as (
    select id from wallet_transactions
    where id in (select wallet_transaction_id from wanted)
    order by id
    for no key update skip locked
), free_invoices as (
    select id from invoices where id in (select invoice_id from wanted) order by id for no key update skip locked
), free_cards as (
    select id from payment_methods
    where id in (select payment_method_id from wanted)
    order by id
    for no key update skip locked
), declines as (
    select organization_id, mode, fingerprint from card_declines
    where (organization_id, mode, fingerprint) in (select organization_id, mode, fingerprint from wanted)
), free_declines as (
    -- A success deletes it.
    select organization_id, mode, fingerprint from card_declines
    where (organization_id, mode, fingerprint) in (select organization_id, mode, fingerprint from wanted)
    order by organization_id, mode, fingerprint
    for update skip locked
), free_accounts as (
    -- A wallet's account has the wallet's id.
    select id from accounts
    where id in (select wallet_id from wanted union select clearing_account from wanted)
    order by id
    for key share skip locked
), free_organizations as (
    select id from organizations where id in (select organization_id from wanted) order by id for key share skip locked
), listening as (
    select id, organization_id, mode from webhook_endpoints
    where (organization_id, mode) in (select organization_id, mode from wanted) and deleted_at is null and status = 'enabled'
), free_endpoints as (
    select id from webhook_endpoints where id in (select id from listening) order by id for key share skip locked
), announced as (
    -- What merchants are told of: the payment, its wallet transaction, its wallet.
    select id, object_id from wanted, unnest(array[id, wallet_transaction_id, wallet_id]) as object_id
), free_sequences as (
    select object_id from merchant_event_sequences
    where object_id in (select object_id from announced)
    order by object_id
    for no key update skip locked
), free_lanes as (
    select endpoint_id, object_id from delivery_lanes
    where endpoint_id in (select id from listening) and object_id in (select object_id from announced)
    order by endpoint_id, object_id
    for no key update skip locked
)
select w.id
from wanted w
where w.id in (select id from free_payments union all select id from free_new_payments)
    and w.wallet_id in (select id from free_wallets)
    and w.wallet_transaction_id in (select id from free_transactions)
    and (w.invoice_id is null or w.invoice_id in (select id from free_invoices))
    and (w.payment_method_id is null or w.payment_method_id in (select id from free_cards))
    and (
        (w.organization_id, w.mode, w.fingerprint) in (select organization_id, mode, fingerprint from free_declines)
        or not exists (
            select from declines d
            where d.organization_id = w.organization_id and d.mode = w.mode and d.fingerprint = w.fingerprint
        )
    )
    and w.wallet_id in (select id from free_accounts)
    and (w.clearing_account is null or w.clearing_account in (select id from free_accounts))
    and w.organization_id in (select id from free_organizations)
    and not exists (
        select from listening l
        where l.organization_id = w.organization_id and l.mode = w.mode and l.id not in (select id from free_endpoints)
    )
    and not exists (
        select from announced a
        join merchant_event_sequences s on s.object_id = a.object_id
        where a.id = w.id and a.object_id not in (select object_id from free_sequences)
    )
    and not exists (
        select from announced a
        join delivery_lanes l on l.object_id = a.object_id
        join listening e on e.id = l.endpoint_id
        where a.id = w.id and (l.endpoint_id, l.object_id) not in (select endpoint_id, object_id from free_lanes)
    );
