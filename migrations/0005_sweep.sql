-- +goose Up

-- How far Stripe's list of events has been read, per mode. What lies before
-- swept_until has been taken in, whether or not its webhook ever came.
create table event_sweeps (
    mode        text primary key check (mode in ('live', 'test')),
    swept_until timestamptz not null,
    -- Events that no webhook had brought.
    found       bigint not null default 0 check (found >= 0),
    swept_at    timestamptz not null
);

-- One row per comparison of our books with Stripe's. Drift is how many payments,
-- refunds and disputes differed, repaired how many of them no longer do.
create table reconciliations (
    id                   uuid primary key,
    mode                 text not null check (mode in ('live', 'test')),
    source               text not null check (source in ('job', 'operator')),
    since                timestamptz not null,
    until                timestamptz not null,
    payments             bigint not null check (payments >= 0),
    refunds              bigint not null check (refunds >= 0),
    disputes             bigint not null check (disputes >= 0),
    charged_not_credited bigint not null check (charged_not_credited >= 0),
    credited_not_charged bigint not null check (credited_not_charged >= 0),
    amount_differs       bigint not null check (amount_differs >= 0),
    open_too_long        bigint not null check (open_too_long >= 0),
    refund_differs       bigint not null check (refund_differs >= 0),
    dispute_differs      bigint not null check (dispute_differs >= 0),
    drift                bigint not null generated always as (charged_not_credited + credited_not_charged
        + amount_differs + open_too_long + refund_differs + dispute_differs) stored,
    repaired             bigint not null check (repaired >= 0),
    -- What differed, the first of it: for a person.
    findings             jsonb not null check (jsonb_typeof(findings) = 'array'),
    started_at           timestamptz not null,
    finished_at          timestamptz not null,
    check (since < until)
);
create index reconciliations_latest on reconciliations (mode, finished_at desc);

-- When the cardholder's browser first came back from the challenge. It proves
-- nothing and decides nothing; it is counted.
alter table payments add column returned_at timestamptz;
create index payments_returned on payments (returned_at) where returned_at is not null;
create index payment_moves_challenges on payment_moves (moved_at)
    where from_status = 'requires_action' or to_status = 'requires_action';

-- +goose Down
drop index payment_moves_challenges;
alter table payments drop column returned_at;
drop table reconciliations, event_sweeps;
