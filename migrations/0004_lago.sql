-- +goose Up

-- What a customer of the Lago dialect has. The profile holds what is stored and
-- shown and means nothing to us: addresses, tax numbers, web sites.
alter table customers
    add column firstname text,
    add column lastname  text,
    add column currency  text check (currency ~ '^[A-Z]{3}$'),
    add column timezone  text not null default 'UTC',
    add column profile   jsonb not null default '{}' check (jsonb_typeof(profile) = 'object');
create index customers_created on customers (organization_id, mode, created_at desc, id);

-- Texts that a merchant has printed on invoices. Where one is applied, the row
-- keeps a copy: an invoice shows what it said when it was made.
create table invoice_custom_sections (
    id              uuid primary key,
    organization_id uuid not null references organizations,
    mode            text not null check (mode in ('live', 'test')),
    code            text not null check (code <> ''),
    name            text not null,
    description     text,
    details         text,
    display_name    text,
    created_at      timestamptz not null,
    unique (organization_id, mode, code)
);

alter table wallets
    add column name                                text check (name <> ''),
    add column code                                text,
    add column status                              text not null default 'active' check (status in ('active', 'terminated')),
    add column priority                            smallint not null default 50 check (priority between 1 and 50),
    add column billing_entity_code                 text not null default 'default',
    add column purchase_order_number               text check (length(purchase_order_number) between 1 and 255),
    add column invoice_requires_successful_payment boolean not null default false,
    add column paid_top_up_min_amount              bigint check (paid_top_up_min_amount > 0),
    add column paid_top_up_max_amount              bigint check (paid_top_up_max_amount > 0),
    -- A traceable wallet knows for each of its credits what is left of it. All
    -- wallets made here are.
    add column traceable                           boolean not null default true,
    add column consumed_credits                    numeric(30, 5) not null default 0 check (consumed_credits >= 0),
    add column payment_method_type                 text not null default 'provider' check (payment_method_type in ('manual', 'provider')),
    add column payment_method_id                   uuid references payment_methods,
    add column applies_to                          jsonb,
    add column recurring_transaction_rules         jsonb,
    add column skip_invoice_custom_sections        boolean not null default false,
    add column invoice_custom_sections             jsonb,
    add column metadata                            jsonb check (jsonb_typeof(metadata) = 'object'),
    add column expiration_at                       timestamptz,
    add column last_balance_sync_at                timestamptz,
    add column last_consumed_credit_at             timestamptz,
    add column terminated_at                       timestamptz,
    add check ((status = 'terminated') = (terminated_at is not null)),
    add check (paid_top_up_min_amount <= paid_top_up_max_amount),
    add check (payment_method_type = 'provider' or payment_method_id is null);
update wallets w
set code = case when n.position = 1 then 'default' else 'default_' || w.id end
from (select id, row_number() over (partition by customer_id order by id) as position from wallets) n
where n.id = w.id;
alter table wallets
    alter column code set not null,
    add check (code <> '');
create unique index wallets_code on wallets (customer_id, code) where status = 'active';
create index wallets_created on wallets (organization_id, mode, created_at desc, id);
create index wallets_expiring on wallets (expiration_at) where status = 'active' and expiration_at is not null;

-- The defaults are what a purchase of the Lava dialect has.
alter table wallet_transactions
    add column name                                text check (length(name) between 1 and 255),
    add column priority                            smallint not null default 50 check (priority between 1 and 50),
    add column source                              text not null default 'manual' check (source in ('interval', 'manual', 'threshold')),
    add column purchase_order_number               text check (length(purchase_order_number) between 1 and 255),
    add column invoice_requires_successful_payment boolean not null default false,
    add column metadata                            jsonb check (jsonb_typeof(metadata) = 'array'),
    add column payment_method_type                 text not null default 'provider' check (payment_method_type in ('manual', 'provider')),
    add column payment_method_id                   uuid references payment_methods,
    add column skip_invoice_custom_sections        boolean not null default false,
    add column invoice_custom_sections             jsonb,
    add column invoice_id                          uuid,
    add column credit_note_id                      uuid,
    add column voided_invoice_id                   uuid,
    add constraint wallet_transactions_only_purchases_wait check (transaction_status = 'purchased' or status = 'settled'),
    add constraint wallet_transactions_inbound_amount check (transaction_type = 'outbound' or amount > 0),
    add check (transaction_status = 'purchased' or not invoice_requires_successful_payment),
    add check (payment_method_type = 'provider' or payment_method_id is null);
-- What can be consumed, in the order in which it is: by priority, granted before
-- purchased (which is also how the words sort), the oldest first.
create index wallet_transactions_lots on wallet_transactions (wallet_id, priority, transaction_status, created_at, id)
    where remaining_amount > 0;

-- What an outbound transaction took from an inbound one. How many credits that is
-- follows from the wallet's rate, which never changes.
create table wallet_transaction_consumptions (
    id                      uuid primary key,
    inbound_transaction_id  uuid not null references wallet_transactions,
    outbound_transaction_id uuid not null references wallet_transactions,
    amount                  bigint not null check (amount > 0),
    created_at              timestamptz not null,
    unique (outbound_transaction_id, inbound_transaction_id),
    check (inbound_transaction_id <> outbound_transaction_id)
);
create index wallet_transaction_consumptions_inbound on wallet_transaction_consumptions (inbound_transaction_id, created_at desc, id);
create trigger append_only before update or delete on wallet_transaction_consumptions
    for each row execute function refuse_change();

-- The credit invoice of a purchase. It is made with the purchase, and only for
-- purchases of the Lago dialect: Lava's merchants never see an invoice, and their
-- purchases stay two rows cheaper. An open one waits for its payment and is not
-- shown; a finalized one gets its number later, see invoice_numbers.
create table invoices (
    id                    uuid primary key,
    organization_id       uuid not null references organizations,
    mode                  text not null check (mode in ('live', 'test')),
    customer_id           uuid not null references customers,
    wallet_id             uuid not null references wallets,
    wallet_transaction_id uuid not null unique references wallet_transactions,
    invoice_type          text not null default 'credit' check (invoice_type in ('credit')),
    status                text not null check (status in ('finalized', 'open')),
    payment_status        text not null check (payment_status in ('failed', 'pending', 'succeeded')),
    currency              text not null check (currency ~ '^[A-Z]{3}$'),
    amount                bigint not null check (amount > 0),
    paid_amount           bigint not null default 0 check (paid_amount >= 0),
    credit_amount         numeric(30, 5) not null check (credit_amount > 0),
    rate_amount           numeric(30, 5) not null check (rate_amount > 0),
    description           text not null,
    purchase_order_number text,
    custom_sections       jsonb,
    timezone              text not null default 'UTC',
    issuing_date          date not null,
    sequential_id         bigint check (sequential_id > 0),
    number                text,
    created_at            timestamptz not null,
    updated_at            timestamptz not null,
    finalized_at          timestamptz,
    unique (organization_id, mode, sequential_id),
    check ((number is null) = (sequential_id is null)),
    check ((status = 'finalized') = (finalized_at is not null)),
    check (status = 'finalized' or sequential_id is null),
    check (status = 'finalized' or payment_status <> 'succeeded'),
    check ((payment_status = 'succeeded') = (paid_amount > 0))
) with (fillfactor = 80);
create index invoices_created on invoices (organization_id, mode, created_at desc, id);
create index invoices_customer on invoices (customer_id, created_at desc, id);
create index invoices_unnumbered on invoices (organization_id, mode, finalized_at, id)
    where status = 'finalized' and sequential_id is null;
alter table wallet_transactions
    add foreign key (invoice_id) references invoices;

-- The last number that invoices of an organization have. Finalizing one does not
-- touch this row, or all purchases of an organization would queue for it: numbers
-- are given afterwards, to many invoices at once, in the order in which they were
-- finalized.
create table invoice_numbers (
    organization_id uuid not null references organizations,
    mode            text not null check (mode in ('live', 'test')),
    last_number     bigint not null check (last_number >= 0),
    primary key (organization_id, mode)
);

-- A payment whose cardholder is at Stripe's checkout has no intent yet: Stripe
-- makes it when the form is sent. Until then the session stands for it.
alter table payments
    add column stripe_checkout_session_id text unique check (stripe_checkout_session_id <> ''),
    drop constraint payments_check5,
    add constraint payments_requires_action check (status <> 'requires_action' or
        (redirect_url is not null and action_deadline_at is not null
            and (stripe_payment_intent_id is not null or stripe_checkout_session_id is not null)));

-- What the first request with a key made, in the order of its answer.
alter table idempotency_keys
    add column result_ids uuid[] not null default '{}';

-- +goose Down
alter table idempotency_keys drop column result_ids;
alter table payments
    drop constraint payments_requires_action,
    drop column stripe_checkout_session_id,
    add constraint payments_check5 check (status <> 'requires_action' or
        (redirect_url is not null and stripe_payment_intent_id is not null and action_deadline_at is not null));
alter table wallet_transactions
    drop constraint wallet_transactions_only_purchases_wait, drop constraint wallet_transactions_inbound_amount,
    drop column name, drop column priority, drop column source, drop column purchase_order_number,
    drop column invoice_requires_successful_payment, drop column metadata, drop column payment_method_type,
    drop column payment_method_id, drop column skip_invoice_custom_sections, drop column invoice_custom_sections,
    drop column invoice_id, drop column credit_note_id, drop column voided_invoice_id;
drop table invoice_numbers, invoices, wallet_transaction_consumptions, invoice_custom_sections;
drop index wallets_code, wallets_created, wallets_expiring;
alter table wallets
    drop column name, drop column code, drop column status, drop column priority, drop column billing_entity_code,
    drop column purchase_order_number, drop column invoice_requires_successful_payment,
    drop column paid_top_up_min_amount, drop column paid_top_up_max_amount, drop column traceable,
    drop column consumed_credits, drop column payment_method_type, drop column payment_method_id,
    drop column applies_to, drop column recurring_transaction_rules, drop column skip_invoice_custom_sections,
    drop column invoice_custom_sections, drop column metadata, drop column expiration_at,
    drop column last_balance_sync_at, drop column last_consumed_credit_at, drop column terminated_at;
drop index customers_created;
alter table customers
    drop column firstname, drop column lastname, drop column currency, drop column timezone, drop column profile;
