-- +goose Up

-- Where a merchant wants to hear of what happens. The name of an event depends on
-- the endpoint's dialect: events are the names that were asked for, null for the
-- usual ones, and types the same in our own words, which is what is looked at when
-- something happens. A removed endpoint keeps its row, because deliveries have it.
create table webhook_endpoints (
    id                         uuid primary key,
    organization_id            uuid not null references organizations,
    mode                       text not null check (mode in ('live', 'test')),
    name                       text not null check (name <> ''),
    url                        text not null check (url <> ''),
    signature                  text not null check (signature in ('lago', 'lava', 'standard')),
    events                     text[],
    types                      text[] not null,
    status                     text not null default 'enabled' check (status in ('disabled', 'enabled')),
    -- Needed as it is, to sign with. The previous one signs too until it expires.
    secret                     text not null check (secret <> ''),
    previous_secret            text check (previous_secret <> ''),
    previous_secret_expires_at timestamptz,
    -- Attempts that failed since the last one that did not. From some number on the
    -- endpoint is held: one delivery at a time tries, and not before held_until.
    failures                   integer not null default 0 check (failures >= 0),
    failing_since              timestamptz,
    held_until                 timestamptz,
    last_error                 text,
    created_at                 timestamptz not null,
    updated_at                 timestamptz not null,
    deleted_at                 timestamptz,
    check ((previous_secret is null) = (previous_secret_expires_at is null)),
    check ((failures = 0) = (failing_since is null)),
    check (failures > 0 or held_until is null)
);
create index webhook_endpoints_listening on webhook_endpoints (organization_id, mode)
    where deleted_at is null and status = 'enabled';
create index webhook_endpoints_organization on webhook_endpoints (organization_id, mode, id) where deleted_at is null;

-- What merchants are told. A row is written in the transaction of the change that
-- it reports, and only if an endpoint wants to hear of it. The snapshot holds the
-- rows that it is about as they were then. The sequence counts an object's events.
create table merchant_events (
    id              uuid primary key,
    organization_id uuid not null references organizations,
    mode            text not null check (mode in ('live', 'test')),
    type            text not null check (type <> ''),
    object_id       uuid not null,
    sequence        bigint not null check (sequence > 0),
    snapshot        jsonb not null check (jsonb_typeof(snapshot) = 'object'),
    traceparent     text,
    created_at      timestamptz not null,
    unique (object_id, sequence)
);
create index merchant_events_created on merchant_events (organization_id, mode, created_at, id);

-- The last sequence number of an object. It outlives the object's events.
create table merchant_event_sequences (
    object_id     uuid primary key,
    last_sequence bigint not null check (last_sequence > 0)
) with (fillfactor = 80);

-- An event on its way to an endpoint. Attempts are those since it was last asked
-- for; what came of each attempt is in delivery_attempts.
create table deliveries (
    id          uuid primary key,
    endpoint_id uuid not null references webhook_endpoints,
    event_id    uuid not null references merchant_events,
    object_id   uuid not null,
    sequence    bigint not null,
    status      text not null check (status in ('failed', 'pending', 'succeeded')),
    attempts    smallint not null default 0 check (attempts >= 0),
    created_at  timestamptz not null,
    finished_at timestamptz,
    unique (event_id, endpoint_id),
    check ((status = 'pending') = (finished_at is null))
) with (fillfactor = 80);
create index deliveries_pending on deliveries (endpoint_id, object_id, sequence) where status = 'pending';
create index deliveries_endpoint on deliveries (endpoint_id, id desc);

-- The pending deliveries of one object to one endpoint: they go out one behind the
-- other. A lane is there while it has a delivery, and is due when its first one may
-- be tried. The job that works a lane holds its claim; a claim that is not renewed is
-- over when the lane is due again.
create table delivery_lanes (
    endpoint_id uuid not null references webhook_endpoints,
    object_id   uuid not null,
    due_at      timestamptz not null,
    claim       uuid,
    primary key (endpoint_id, object_id)
) with (fillfactor = 80);
create index delivery_lanes_due on delivery_lanes (endpoint_id, due_at);
create index delivery_lanes_claimed on delivery_lanes (endpoint_id, due_at) where claim is not null;

create table delivery_attempts (
    id              bigint generated always as identity primary key,
    delivery_id     uuid not null references deliveries on delete cascade,
    attempted_at    timestamptz not null,
    duration_ms     integer not null check (duration_ms >= 0),
    response_status smallint,
    -- Why it did not succeed, null if it did.
    error           text
);
create index delivery_attempts_delivery on delivery_attempts (delivery_id, id);

-- The trace that a payment began in, so that each step that carries it on is seen in it.
alter table payments add column traceparent text;

-- +goose Down
alter table payments drop column traceparent;
drop table delivery_attempts, delivery_lanes, deliveries, merchant_event_sequences, merchant_events, webhook_endpoints;
