-- +goose Up

-- Bodies of events are compressed when they are stored. lz4 costs a quarter of what
-- the default does; a server that was built without it keeps to the default.
-- +goose StatementBegin
do $$
begin
    execute 'alter table stripe_events alter column body set compression lz4';
exception
    when feature_not_supported or syntax_error then null;
end
$$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
do $$
begin
    execute 'alter table stripe_events alter column body set compression default';
exception
    when feature_not_supported or syntax_error then null;
end
$$;
-- +goose StatementEnd
