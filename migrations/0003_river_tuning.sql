-- +goose Up

-- River indexes args and metadata for searches that Fundrail does not make.
-- They cost more than the rest of a job's row.
drop index if exists river_job_args_index;
drop index if exists river_job_metadata_index;
drop index if exists river_job_kind;

-- Jobs come and go by the thousand: the planner must not believe that the
-- table is as empty as it was when it was last analysed.
alter table river_job set (
    autovacuum_analyze_scale_factor = 0.02,
    autovacuum_analyze_threshold = 500,
    autovacuum_vacuum_scale_factor = 0.05
);

-- +goose Down
alter table river_job reset (
    autovacuum_analyze_scale_factor, autovacuum_analyze_threshold, autovacuum_vacuum_scale_factor
);
create index river_job_args_index on river_job using gin (args);
create index river_job_metadata_index on river_job using gin (metadata);
create index river_job_kind on river_job using btree (kind);
