-- +goose Up

-- The oldest program that may work on this schema, by the newest migration that it
-- knows. Migrations add, and programs of the version before go on beside the new
-- ones. A migration that takes away what an older program uses raises the floor to
-- the first version that does without; it must come a release later.
create table schema_floor (
    oldest_program bigint not null,
    one            boolean primary key default true check (one)
);
insert into schema_floor (oldest_program) values (15);

-- +goose Down
drop table schema_floor;
