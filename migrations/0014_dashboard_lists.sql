-- +goose Up

-- Stripe's id of the request that brought a move: what its support asks for.
alter table payment_moves add column stripe_request_id text;

create index invoices_list on invoices (mode, id);

-- +goose Down
drop index invoices_list;
alter table payment_moves drop column stripe_request_id;
