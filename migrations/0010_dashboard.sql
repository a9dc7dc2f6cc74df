-- +goose Up

-- Who may log in to the dashboard, and what for.
create table users (
    id                  uuid primary key,
    email               text not null unique check (email <> '' and email = lower(email)),
    role                text not null check (role in ('admin', 'operator', 'support', 'viewer')),
    password_hash       text not null check (password_hash <> ''),
    password_changed_at timestamptz not null,
    created_at          timestamptz not null,
    disabled_at         timestamptz,
    last_login_at       timestamptz
);

-- The sessions of the dashboard, in the shape that scs's store for pgx wants.
-- The token is a hash: a reader of this table cannot log in with it.
create table sessions (
    token  text primary key,
    data   bytea not null,
    expiry timestamptz not null
);
create index sessions_expiry on sessions (expiry);

-- Logins that failed lately, by account and by address.
create table login_failures (
    subject        text primary key,
    failures       integer not null check (failures > 0),
    last_failed_at timestamptz not null,
    blocked_until  timestamptz not null
);
create index login_failures_last on login_failures (last_failed_at);

-- One row per write that an operator made, in the transaction of that write.
create table operator_actions (
    id           bigint generated always as identity primary key,
    mode         text not null check (mode in ('live', 'test')),
    user_id      uuid not null references users,
    actor        text not null,
    role         text not null,
    action       text not null,
    subject_kind text not null,
    subject_id   text not null,
    reason       text not null check (reason <> ''),
    before       jsonb,
    after        jsonb,
    request_id   text not null,
    acted_at     timestamptz not null
);
create index operator_actions_mode on operator_actions (mode, id desc);
create index operator_actions_subject on operator_actions (subject_kind, subject_id, id);
create trigger append_only before update or delete on operator_actions
    for each row execute function refuse_change();

-- What the dashboard's lists read. The first costs each
-- payment two entries, the second one; docs/dashboard.md has the measurement.
-- River's table gets none: every index there costs each job three writes.
create index payments_list on payments (mode, status, id);
create index payments_charge on payments (stripe_charge_id) where stripe_charge_id is not null;
create index customers_list on customers (mode, id);
create index customers_email on customers (mode, lower(email));
create index wallets_list on wallets (mode, id);
create index payment_methods_last4 on payment_methods (mode, last4, id);

-- +goose Down
drop index payment_methods_last4, wallets_list, customers_email, customers_list,
    payments_charge, payments_list;
drop table operator_actions, login_failures, sessions, users;
