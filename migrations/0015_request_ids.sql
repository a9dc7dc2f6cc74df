-- +goose Up

-- The X-Request-Id of the request that made a payment, for the log's lines about it.
alter table payments add column request_id text;

-- +goose Down
alter table payments drop column request_id;
