-- +goose Up

-- Each process writes its row when it is asked whether it is ready. A write that
-- succeeds is the proof that payments can be written, too.
create table heartbeats (
    process text primary key check (process <> ''),
    beaten_at timestamptz not null
);

-- +goose Down
drop table heartbeats;
