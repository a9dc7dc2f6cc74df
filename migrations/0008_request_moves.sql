-- +goose Up

-- A request can move a payment as well: one that asks for a page to pay on ends
-- what stands in its way.
alter table payment_moves
    drop constraint payment_moves_cause_kind_check,
    add constraint payment_moves_cause_kind_check
        check (cause_kind in ('event', 'job', 'operator', 'reconciler', 'request'));

-- +goose Down
alter table payment_moves
    drop constraint payment_moves_cause_kind_check,
    add constraint payment_moves_cause_kind_check
        check (cause_kind in ('event', 'job', 'operator', 'reconciler')) not valid;
