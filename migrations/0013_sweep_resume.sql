-- +goose Up

-- Where a sweep that did not come to the end goes on: the last event that it read.
-- Only a sweep that begins anew goes back behind the end of the one before.
alter table event_sweeps add column resume_after text check (resume_after <> '');

-- +goose Down
alter table event_sweeps drop column resume_after;
