-- name: accept_payments
-- Stores purchases: their idempotency records, wallet transactions, credit invoices
-- and payments, and one job that charges the payments. It is one statement because
-- only the database can tell which idempotency keys are free, and a purchase whose
-- key is taken is left out everywhere. It returns the ids of the payments it stored.
with input as (
    select i.*, d.*
    from (
        select
            unnest(@id::uuid[])                    as id,
            unnest(@wallet_transaction_id::uuid[]) as wallet_transaction_id,
            unnest(@organization_id::uuid[])       as organization_id,
            unnest(@mode::text[])                  as mode,
            unnest(@wallet_id::uuid[])             as wallet_id,
            unnest(@payment_method_id::uuid[])     as payment_method_id,
            unnest(@amount::bigint[])              as amount,
            unnest(@currency::text[])              as currency,
            unnest(@credit_amount::numeric[])      as credit_amount,
            unnest(@off_session::boolean[])        as off_session,
            unnest(@return_url::text[])            as return_url,
            unnest(@traceparent::text[])           as traceparent,
            unnest(@request_id::text[])            as request_id,
            unnest(@first_check_at::timestamptz[]) as first_check_at,
            unnest(@created_at::timestamptz[])     as created_at,
            unnest(@operation::text[])             as operation,
            unnest(@key::text[])                   as key,
            unnest(@fingerprint::bytea[])          as fingerprint,
            unnest(@wait_until::timestamptz[])     as wait_until,
            unnest(@result_ids::text[])            as result_ids,
            unnest(@purchase::jsonb[])             as purchase
    ) i,
    lateral jsonb_to_record(coalesce(i.purchase, '{}')) as d (
        name                          text,
        priority                      smallint,
        source                        text,
        purchase_order_number         text,
        requires_payment              boolean,
        metadata                      jsonb,
        method_type                   text,
        method_id                     uuid,
        skip_sections                 boolean,
        sections                      jsonb,
        invoice_id                    uuid,
        invoice_sections              jsonb,
        invoice_purchase_order_number text,
        customer_id                   uuid,
        description                   text,
        rate_amount                   numeric,
        timezone                      text
    )
), claimed as (
    -- A second request with the same key waits here until the first one has ended.
    insert into idempotency_keys (organization_id, mode, operation, key, fingerprint, payment_id, result_ids, wait_until, created_at)
    select organization_id, mode, operation, key, fingerprint,
        case when payment_method_id is not null then id end, result_ids::uuid[], wait_until, created_at
    from input
    where key is not null
    order by organization_id, mode, operation, key
    on conflict do nothing
    returning organization_id, mode, operation, key
), accepted as (
    select * from input
    where key is null
        or (organization_id, mode, operation, key) in (select organization_id, mode, operation, key from claimed)
), transactions as (
    insert into wallet_transactions (id, organization_id, mode, wallet_id, transaction_type, transaction_status, status,
        amount, credit_amount, created_at, name, priority, source, purchase_order_number, invoice_requires_successful_payment,
        metadata, payment_method_type, payment_method_id, skip_invoice_custom_sections, invoice_custom_sections, invoice_id)
    select wallet_transaction_id, organization_id, mode, wallet_id, 'inbound', 'purchased', 'pending',
        amount, credit_amount, created_at, nullif(name, ''), coalesce(priority, 50), coalesce(source, 'manual'),
        nullif(purchase_order_number, ''), coalesce(requires_payment, false),
        metadata, coalesce(method_type, 'provider'), method_id, coalesce(skip_sections, false), sections, invoice_id
    from accepted
), bills as (
    -- Purchases of the Lago dialect have a credit invoice. It stays open while it
    -- waits for a payment that it requires.
    insert into invoices (id, organization_id, mode, customer_id, wallet_id, wallet_transaction_id, status, payment_status,
        currency, amount, credit_amount, rate_amount, description, purchase_order_number, custom_sections, timezone,
        issuing_date, created_at, updated_at, finalized_at)
    select invoice_id, organization_id, mode, customer_id, wallet_id, wallet_transaction_id,
        case when requires_payment then 'open' else 'finalized' end, 'pending',
        currency, amount, credit_amount, rate_amount, description, nullif(invoice_purchase_order_number, ''), invoice_sections,
        timezone, (created_at at time zone timezone)::date, created_at, created_at,
        case when not requires_payment then created_at end
    from accepted
    where invoice_id is not null
), charges as (
    insert into payments (id, organization_id, mode, wallet_id, wallet_transaction_id, payment_method_id, amount, currency,
        off_session, receipt_email, return_url, traceparent, request_id, status, next_check_at, created_at, updated_at)
    select id, organization_id, mode, wallet_id, wallet_transaction_id, payment_method_id, amount, currency,
        off_session, (select o.primary_email from organizations o where o.id = organization_id),
        return_url, traceparent, request_id, 'created', first_check_at, created_at, created_at
    from accepted
    where payment_method_id is not null
), job as (
    -- River keeps its table open to other programs' inserts.
    insert into river_job (args, kind, queue, max_attempts)
    select jsonb_build_object('payment_ids', jsonb_agg(id)), @job_kind::text, @job_queue::text, @job_max_attempts::smallint
    from accepted
    where payment_method_id is not null and @job_kind::text is not null
    having count(*) > 0
)
select id from accepted;

-- name: find_free_purchases
-- Purchases that could be stored now. Their foreign keys, and those of the deliveries
-- that announce them, wait for the locks of those who delete a row or change its key,
-- which nothing of ours does. An organization is waited for only by an invoice or a
-- delivery, and a purchase without either is held too often rather than too seldom.
--
-- Idempotency keys are not looked at. A key that another transaction is inserting is
-- a row that cannot be seen yet, so there is nothing to skip: a purchase that waits
-- for it is reported as free.
with wanted as (
    select
        unnest(@id::uuid[])                as id,
        unnest(@organization_id::uuid[])   as organization_id,
        unnest(@mode::text[])              as mode,
        unnest(@wallet_id::uuid[])         as wallet_id,
        unnest(@payment_method_id::uuid[]) as payment_method_id,
        unnest(@method_id::uuid[])         as method_id,
        unnest(@customer_id::uuid[])       as customer_id
), free_organizations as (
    select id from organizations where id in (select organization_id from wanted) order by id for key share skip locked
), free_customers as (
    select id from customers where id in (select customer_id from wanted) order by id for key share skip locked
), free_wallets as (
    select id from wallets where id in (select wallet_id from wanted) order by id for key share skip locked
), free_cards as (
    select id from payment_methods
    where id in (select payment_method_id from wanted union select method_id from wanted)
    order by id
    for key share skip locked
), listening as (
    select id, organization_id, mode from webhook_endpoints
    where (organization_id, mode) in (select organization_id, mode from wanted)
        and deleted_at is null and status = 'enabled' and @created::text = any (types)
), free_endpoints as (
    select id from webhook_endpoints where id in (select id from listening) order by id for key share skip locked
)
select w.id
from wanted w
where w.organization_id in (select id from free_organizations)
    and w.wallet_id in (select id from free_wallets)
    and (w.customer_id is null or w.customer_id in (select id from free_customers))
    and (w.payment_method_id is null or w.payment_method_id in (select id from free_cards))
    and (w.method_id is null or w.method_id in (select id from free_cards))
    and not exists (
        select from listening l
        where l.organization_id = w.organization_id and l.mode = w.mode and l.id not in (select id from free_endpoints)
    );
