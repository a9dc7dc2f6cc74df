-- +goose Up

-- What a key lets its holder do. Keys that were made before may do everything, as
-- they could, and so may those that a program of the version before still makes. A
-- key that was replaced by another one works until it expires.
alter table api_keys
    add column scopes      text[] not null default '{admin,fund,read}'
        check (scopes <@ '{admin,fund,read}' and cardinality(scopes) > 0),
    add column replaced_at timestamptz,
    add check (replaced_at is null or expires_at is not null);

-- When a key was last used, to the minute. It has a table of its own, because it is
-- written often, and a key is read with every request.
create table api_key_uses (
    api_key_id   uuid primary key references api_keys on delete cascade,
    last_used_at timestamptz not null
) with (fillfactor = 70);

-- The token bucket of an API key, which all processes share: when it is full again.
create table rate_limits (
    api_key_id uuid not null references api_keys on delete cascade,
    name       text not null check (name <> ''),
    full_at    timestamptz not null,
    primary key (api_key_id, name)
) with (fillfactor = 50);

-- +goose Down
drop table rate_limits, api_key_uses;
alter table api_keys drop column replaced_at, drop column scopes;
