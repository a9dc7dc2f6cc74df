-- +goose Up

-- An organization is a merchant's account. Every other row belongs to one of
-- its two modes, and no query crosses them.
create table organizations (
    id            uuid primary key,
    name          text not null check (name <> ''),
    primary_email text check (primary_email <> ''),
    suspended_at  timestamptz,
    created_at    timestamptz not null
);

create table api_keys (
    id              uuid primary key,
    organization_id uuid not null references organizations,
    mode            text not null check (mode in ('live', 'test')),
    name            text not null,
    key_hash        bytea not null unique check (octet_length(key_hash) = 32),
    hint            text not null check (length(hint) = 4),
    created_at      timestamptz not null,
    expires_at      timestamptz,
    revoked_at      timestamptz
);
create index api_keys_organization on api_keys (organization_id, mode, id);

create table customers (
    id                 uuid primary key,
    organization_id    uuid not null references organizations,
    mode               text not null check (mode in ('live', 'test')),
    external_id        text not null check (external_id <> ''),
    email              text,
    name               text,
    stripe_customer_id text check (stripe_customer_id <> ''),
    created_at         timestamptz not null,
    updated_at         timestamptz not null,
    unique (organization_id, mode, external_id),
    unique (mode, stripe_customer_id)
);

create table payment_methods (
    id                       uuid primary key,
    organization_id          uuid not null references organizations,
    mode                     text not null check (mode in ('live', 'test')),
    customer_id              uuid not null references customers,
    stripe_payment_method_id text not null check (stripe_payment_method_id <> ''),
    brand                    text not null,
    last4                    text not null check (last4 ~ '^[0-9]{4}$'),
    expiry_month             smallint not null check (expiry_month between 1 and 12),
    expiry_year              smallint not null check (expiry_year between 2000 and 9999),
    fingerprint              text,
    is_default               boolean not null default false,
    error_code               text,
    error_message            text,
    error_at                 timestamptz,
    created_at               timestamptz not null,
    deleted_at               timestamptz,
    unique (mode, stripe_payment_method_id),
    check ((error_code is null) = (error_at is null)),
    check (error_code is not null or error_message is null)
);
create index payment_methods_customer on payment_methods (customer_id, id);
create unique index payment_methods_default on payment_methods (customer_id)
    where is_default and deleted_at is null;

-- An account is one side of transfers. A wallet's account has the wallet's own
-- id; the others exist once per organization, mode and currency.
create table accounts (
    id              uuid primary key,
    organization_id uuid not null references organizations,
    mode            text not null check (mode in ('live', 'test')),
    currency        text not null check (currency ~ '^[A-Z]{3}$'),
    kind            text not null check (kind in
        ('disputes', 'promotions', 'refunds', 'stripe_clearing', 'voids', 'wallet')),
    created_at      timestamptz not null
);
create unique index accounts_of_organization on accounts (organization_id, mode, currency, kind)
    where kind <> 'wallet';

create table wallets (
    id              uuid primary key references accounts,
    organization_id uuid not null references organizations,
    mode            text not null check (mode in ('live', 'test')),
    customer_id     uuid not null references customers,
    currency        text not null check (currency ~ '^[A-Z]{3}$'),
    rate_amount     numeric(30, 5) not null check (rate_amount > 0),
    is_primary      boolean not null default false,
    balance         bigint not null default 0,
    credits_balance numeric(30, 5) not null default 0,
    created_at      timestamptz not null,
    updated_at      timestamptz not null
) with (fillfactor = 70);
create unique index wallets_primary on wallets (organization_id, mode) where is_primary;
create index wallets_customer on wallets (customer_id, id);

-- A wallet transaction is a line of a wallet's statement. A purchase is pending
-- until one of its payments succeeds; a failed one may still be settled, and a
-- settled one stays settled.
create table wallet_transactions (
    id                 uuid primary key,
    organization_id    uuid not null, -- its wallet's
    mode               text not null check (mode in ('live', 'test')),
    wallet_id          uuid not null references wallets,
    transaction_type   text not null check (transaction_type in ('inbound', 'outbound')),
    transaction_status text not null check (transaction_status in
        ('granted', 'invoiced', 'purchased', 'voided')),
    status             text not null check (status in ('failed', 'pending', 'settled')),
    amount             bigint not null check (amount >= 0),
    credit_amount      numeric(30, 5) not null check (credit_amount >= 0),
    remaining_amount   bigint check (remaining_amount between 0 and amount),
    created_at         timestamptz not null,
    settled_at         timestamptz,
    failed_at          timestamptz,
    check ((status = 'settled') = (settled_at is not null)),
    check (status <> 'failed' or failed_at is not null),
    check ((transaction_type = 'inbound') = (transaction_status in ('granted', 'purchased'))),
    check (remaining_amount is null or (transaction_type = 'inbound' and status = 'settled'))
);
create index wallet_transactions_wallet on wallet_transactions (wallet_id, created_at desc, id);

-- A payment is one attempt to charge a payment method for a purchase. It owns
-- one PaymentIntent.
create table payments (
    id                       uuid primary key,
    organization_id          uuid not null, -- its wallet's
    mode                     text not null check (mode in ('live', 'test')),
    wallet_id                uuid not null references wallets,
    wallet_transaction_id    uuid not null references wallet_transactions,
    payment_method_id        uuid references payment_methods,
    amount                   bigint not null check (amount > 0),
    currency                 text not null check (currency ~ '^[A-Z]{3}$'),
    off_session              boolean not null default false,
    -- Sent to Stripe, and kept because a repetition must send the same.
    receipt_email            text,
    return_url               text not null,
    status                   text not null check (status in
        ('canceled', 'created', 'failed', 'processing', 'requires_action', 'succeeded')),
    stripe_payment_intent_id text unique check (stripe_payment_intent_id <> ''),
    stripe_charge_id         text,
    amount_received          bigint check (amount_received > 0),
    balance_after            bigint,
    redirect_url             text,
    failure_code             text,
    failure_decline_code     text,
    failure_message          text,
    action_deadline_at       timestamptz,
    next_check_at            timestamptz,
    checks                   smallint not null default 0,
    created_at               timestamptz not null,
    updated_at               timestamptz not null,
    canceled_at              timestamptz,
    failed_at                timestamptz,
    succeeded_at             timestamptz,
    check ((status = 'succeeded') = (succeeded_at is not null)),
    check ((status = 'succeeded') = (balance_after is not null)),
    check (status <> 'succeeded' or (stripe_payment_intent_id is not null and amount_received is not null)),
    check (status <> 'canceled' or canceled_at is not null),
    check (status <> 'failed' or (failed_at is not null and failure_code is not null)),
    check (status <> 'requires_action' or
        (redirect_url is not null and stripe_payment_intent_id is not null and action_deadline_at is not null)),
    check ((status in ('created', 'processing', 'requires_action')) = (next_check_at is not null))
) with (fillfactor = 80);
create index payments_wallet on payments (wallet_id, id desc);
create index payments_next_check on payments (next_check_at) where next_check_at is not null;
-- One payment at a time owns a purchase.
create unique index payments_open on payments (wallet_transaction_id)
    where status in ('created', 'processing', 'requires_action');
create index payments_transaction on payments (wallet_transaction_id, id);

-- One row per move of a payment: the audit trail. Nothing changes or deletes it.
create table payment_moves (
    id          bigint generated always as identity primary key,
    payment_id  uuid not null references payments,
    from_status text not null,
    to_status   text not null,
    cause_kind  text not null check (cause_kind in ('event', 'job', 'operator', 'reconciler')),
    cause_id    text not null check (cause_id <> ''),
    moved_at    timestamptz not null,
    check (from_status <> to_status and from_status <> 'succeeded')
);
create index payment_moves_payment on payment_moves (payment_id, id);

-- One row per transfer. It names both sides, so the books cannot fail to balance.
create table transfers (
    id                    bigint generated always as identity primary key,
    debit_account         uuid not null references accounts,
    credit_account        uuid not null references accounts,
    amount                bigint not null check (amount > 0),
    currency              text not null,
    kind                  text not null check (kind in ('grant', 'settlement', 'void')),
    payment_id            uuid references payments,
    wallet_transaction_id uuid references wallet_transactions,
    created_at            timestamptz not null,
    check (debit_account <> credit_account),
    check ((kind = 'settlement') = (payment_id is not null)),
    check (wallet_transaction_id is not null)
);
create unique index transfers_settlement on transfers (payment_id) where kind = 'settlement';
create unique index transfers_transaction on transfers (wallet_transaction_id)
    where kind in ('grant', 'settlement', 'void');
create index transfers_debit on transfers (debit_account, id);
create index transfers_credit on transfers (credit_account, id);

-- What Stripe says of a payment and our books do not: for a person to see.
create table payment_discrepancies (
    id                       bigint generated always as identity primary key,
    payment_id               uuid not null references payments,
    kind                     text not null check (kind in
        ('amount_mismatch', 'currency_mismatch', 'paid_twice', 'second_intent')),
    stripe_payment_intent_id text not null,
    expected_amount          bigint not null,
    expected_currency        text not null,
    received_amount          bigint not null,
    received_currency        text not null,
    cause_kind               text not null,
    cause_id                 text not null,
    found_at                 timestamptz not null,
    resolved_at              timestamptz,
    unique (payment_id, kind, stripe_payment_intent_id)
);
create index payment_discrepancies_unresolved on payment_discrepancies (found_at) where resolved_at is null;

-- What Stripe sent, byte for byte. An event is a hint: it moves no money itself.
create table stripe_events (
    id                       text primary key check (id <> ''),
    mode                     text not null check (mode in ('live', 'test')),
    type                     text not null,
    api_version              text,
    object_id                text,
    stripe_payment_intent_id text,
    payment_id               uuid,
    status                   text not null check (status in ('handled', 'ignored', 'pending')),
    source                   text not null check (source in ('sweep', 'webhook')),
    deliveries               integer not null default 1 check (deliveries > 0),
    body                     bytea not null,
    created_at               timestamptz not null,
    received_at              timestamptz not null,
    -- When a sweep must look at a pending event, because its job may be lost or
    -- it has none yet.
    due_at                   timestamptz not null,
    handled_at               timestamptz,
    handled_by               text,
    note                     text,
    check ((status = 'pending') = (handled_at is null))
);
create index stripe_events_pending on stripe_events (due_at) where status = 'pending';
create index stripe_events_received on stripe_events (mode, received_at desc, id);
create index stripe_events_payment on stripe_events (payment_id) where payment_id is not null;

-- A client's Idempotency-Key, and the payment that it stands for.
create table idempotency_keys (
    organization_id uuid not null,
    mode            text not null check (mode in ('live', 'test')),
    operation       text not null check (operation <> ''),
    key             text not null check (length(key) between 1 and 255),
    fingerprint     bytea not null check (octet_length(fingerprint) = 32),
    payment_id      uuid references payments,
    wait_until      timestamptz not null,
    created_at      timestamptz not null,
    primary key (organization_id, mode, operation, key)
);
create index idempotency_keys_created on idempotency_keys (created_at);
create index idempotency_keys_payment on idempotency_keys (payment_id);

-- +goose StatementBegin
create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name;
end
$$;
-- +goose StatementEnd
create trigger append_only before update or delete on payment_moves
    for each row execute function refuse_change();
create trigger append_only before update or delete on transfers
    for each row execute function refuse_change();

-- +goose Down
drop table idempotency_keys, stripe_events, payment_discrepancies, transfers, payment_moves, payments,
    wallet_transactions, wallets, accounts, payment_methods, customers, api_keys, organizations;
drop function refuse_change;
