-- +goose Up

-- A payment that has failed leaves an intent which could still take money. It is
-- canceled at once; this is when a check looks whether that came to its end.
alter table payments add column close_due_at timestamptz
    check (close_due_at is null or (status = 'failed' and stripe_payment_intent_id is not null));
create index payments_close_due on payments (close_due_at) where close_due_at is not null;

-- +goose Down
drop index payments_close_due;
alter table payments drop column close_due_at;
