-- +goose Up

-- Money on its way back to a card. A refund that was asked for here has a row
-- before Stripe knows of it; one that was made at Stripe gets its row when we hear
-- of it. Debited is what has been taken from the wallet for it so far: it follows
-- the status, and each change of it is a transfer.
create table refunds (
    id               uuid primary key,
    organization_id  uuid not null references organizations,
    mode             text not null check (mode in ('live', 'test')),
    wallet_id        uuid not null references wallets,
    payment_id       uuid not null references payments,
    stripe_refund_id text unique check (stripe_refund_id <> ''),
    requested        boolean not null,
    amount           bigint not null check (amount > 0),
    currency         text not null check (currency ~ '^[A-Z]{3}$'),
    status           text not null check (status <> ''),
    reason           text,
    failure_reason   text,
    debited          bigint not null default 0 check (debited between 0 and amount),
    next_check_at    timestamptz,
    created_at       timestamptz not null,
    updated_at       timestamptz not null,
    check (requested or stripe_refund_id is not null),
    check (status not in ('canceled', 'failed') or debited = 0)
);
create index refunds_payment on refunds (payment_id, id);
create index refunds_next_check on refunds (next_check_at) where next_check_at is not null;

-- What a cardholder's bank takes back. The amounts that Stripe withdrew and
-- reinstated are in the currency of our account there.
create table disputes (
    id                uuid primary key,
    organization_id   uuid not null references organizations,
    mode              text not null check (mode in ('live', 'test')),
    wallet_id         uuid not null references wallets,
    payment_id        uuid not null references payments,
    stripe_dispute_id text not null unique check (stripe_dispute_id <> ''),
    amount            bigint not null check (amount >= 0),
    currency          text not null check (currency ~ '^[A-Z]{3}$'),
    status            text not null check (status <> ''),
    reason            text,
    withdrawn         bigint not null,
    reinstated        bigint not null,
    funds_currency    text,
    debited           bigint not null default 0 check (debited between 0 and amount),
    created_at        timestamptz not null,
    updated_at        timestamptz not null
);
create index disputes_payment on disputes (payment_id, id);
create index disputes_open on disputes (mode, created_at) where status not in ('lost', 'warning_closed', 'won');

-- What has gone back of a payment, and how often Stripe was asked about it: an
-- answer that another one has overtaken is not applied.
alter table payments
    add column refunded           bigint not null default 0 check (refunded >= 0),
    add column disputed           bigint not null default 0 check (disputed >= 0),
    add column money_back_version bigint not null default 0,
    add constraint payments_money_back check (refunded + disputed <= amount and (refunded + disputed = 0 or status = 'succeeded'));

alter table transfers
    add column refund_id  uuid references refunds,
    add column dispute_id uuid references disputes,
    drop constraint transfers_kind_check,
    drop constraint transfers_check1,
    add constraint transfers_kind_check check (kind in
        ('dispute', 'dispute_reversal', 'grant', 'refund', 'refund_reversal', 'settlement', 'void')),
    add constraint transfers_payment_check check ((kind in ('grant', 'void')) = (payment_id is null)),
    add constraint transfers_refund_check check ((kind in ('refund', 'refund_reversal')) = (refund_id is not null)),
    add constraint transfers_dispute_check check ((kind in ('dispute', 'dispute_reversal')) = (dispute_id is not null));
drop index transfers_transaction;
create unique index transfers_transaction on transfers (wallet_transaction_id);
create index transfers_money_back on transfers (payment_id) where kind not in ('grant', 'settlement', 'void');

-- Cards that their bank told us not to try again. A success takes the card off.
create table card_declines (
    organization_id uuid not null references organizations,
    mode            text not null check (mode in ('live', 'test')),
    fingerprint     text not null check (fingerprint <> ''),
    class           text not null check (class in ('do_not_retry', 'hard')),
    code            text not null,
    payment_id      uuid not null references payments,
    declined_at     timestamptz not null,
    primary key (organization_id, mode, fingerprint)
);

-- +goose Down
drop table card_declines;
drop index transfers_money_back, transfers_transaction;
-- The books are append-only: where money has gone back there is no way down, and
-- the constraints refuse it.
alter table transfers
    drop constraint transfers_kind_check, drop constraint transfers_payment_check,
    drop column refund_id, drop column dispute_id,
    add constraint transfers_kind_check check (kind in ('grant', 'settlement', 'void')),
    add constraint transfers_check1 check ((kind = 'settlement') = (payment_id is not null));
create unique index transfers_transaction on transfers (wallet_transaction_id) where kind in ('grant', 'settlement', 'void');
alter table payments drop constraint payments_money_back,
    drop column refunded, drop column disputed, drop column money_back_version;
drop table disputes, refunds;
