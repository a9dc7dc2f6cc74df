-- +goose Up

-- A withdrawn attempt may have left a page at Stripe whose address was given to no
-- caller. It is closed as the intent of a failed payment is. The name is the one that
-- the check of 0007 got.
alter table payments
    drop constraint payments_check5,
    add constraint payments_close_due_check check (close_due_at is null
        or (status = 'failed' and stripe_payment_intent_id is not null)
        or (status = 'canceled' and payment_method_id is null)) not valid;
alter table payments validate constraint payments_close_due_check;

-- +goose Down
update payments set close_due_at = null where status = 'canceled';
alter table payments
    drop constraint payments_close_due_check,
    add constraint payments_check5
        check (close_due_at is null or (status = 'failed' and stripe_payment_intent_id is not null));
