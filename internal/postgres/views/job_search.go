package views

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// No index has the arguments of jobs, because each index costs every job three writes.
// But a job is inserted with, or soon after, the row that it is about, and ids rise with
// time. So a binary search over the ids finds the jobs of a short span of time, and those
// few are read.

// jobSlack is the largest difference assumed between the clocks that stamp rows and jobs.
const jobSlack = 2 * time.Second

// jobSpan is a span of time in which jobs were inserted.
type jobSpan struct{ from, until time.Time }

// maxSpans is the largest number of spans that are searched at once.
const maxSpans = 16

// firstJobs finds, for each time, the smallest id of a job that was inserted at that time
// or later. It is a binary search: each step halves the range of ids.
const firstJobs = `
	with recursive search as (
		select t.n, t.at, (select min(id) from river_job) as low, (select max(id) from river_job) + 1 as high
		from unnest(@times::timestamptz[]) with ordinality as t (at, n)
		union all
		select s.n, s.at, case when m.created_at < s.at then m.id + 1 else s.low end,
			case when m.created_at < s.at then s.high else s.low + (s.high - s.low) / 2 end
		from search s
		cross join lateral (
			select j.id, j.created_at from river_job j
			where j.id >= s.low + (s.high - s.low) / 2
			order by j.id limit 1
		) m
		where s.low < s.high
	)
	select n, max(low) as id from search group by n`

// findJobs returns the ids of the jobs that were inserted in one of the spans and whose
// arguments name one of the subjects: a payment's UUID or an event's id.
func findJobs(ctx context.Context, db postgres.DB, subjects []string, spans []jobSpan) ([]int64, error) {
	if len(spans) > maxSpans {
		spans = spans[:maxSpans]
	}
	times := make([]time.Time, 0, 2*len(spans))
	for _, s := range spans {
		times = append(times, s.from.Add(-jobSlack), s.until.Add(jobSlack))
	}
	rows, _ := db.Query(ctx, `
		with bounds as materialized (`+firstJobs+`)
		select distinct j.id
		from bounds f
		join bounds u on u.n = f.n + 1 and f.n % 2 = 1
		cross join lateral (
			select id, args from river_job where id >= f.id and id < u.id order by id limit @limit
		) j
		where j.args ->> 'payment_id' = any (@subjects) or j.args ->> 'event_id' = any (@subjects)
			or j.args -> 'payment_ids' ?| @subjects
		order by 1`, pgx.NamedArgs{"times": times, "subjects": subjects, "limit": 2 * ListWindow})
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("find jobs of %s: %w", subjects[0], err)
	}
	return ids, nil
}

// FindEventJobs returns the ids of the jobs of an event: those inserted when it was
// received, the one that handled it, and those that operators requested. The result is
// empty, not nil, for an unknown event.
func FindEventJobs(ctx context.Context, db postgres.DB, mode wallet.Mode, eventID string) ([]int64, error) {
	type eventRow struct {
		ReceivedAt, DueAt time.Time
		HandledBy         string
	}
	rows, _ := db.Query(ctx, `
		select received_at, due_at, coalesce(handled_by, '') as handled_by from stripe_events where mode = $1 and id = $2`,
		mode, eventID)
	e, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[eventRow])
	if err != nil {
		return []int64{}, ignoreNoRows(err)
	}
	ids, err := findJobs(ctx, db, []string{eventID}, eventSpans(e.ReceivedAt, e.DueAt))
	if err != nil {
		return nil, err
	}
	requested, err := operatorJobs(ctx, db, "event", eventID)
	if err != nil {
		return nil, err
	}
	return append(append(ids, jobNamed(e.HandledBy)...), requested...), nil
}

// FindPaymentJobs returns the ids of the jobs of a payment and of its events: those
// inserted when it was accepted or due for a check, those that moved it, and those that
// operators requested. Of the checks after the first hour it finds those that moved the
// payment. The result is empty, not nil, for an unknown payment.
func FindPaymentJobs(ctx context.Context, db postgres.DB, mode wallet.Mode, id wallet.ID) ([]int64, error) {
	s, err := GetPaymentStory(ctx, db, mode, id)
	if wallet.HasCode(err, wallet.CodePaymentNotFound) {
		return []int64{}, nil
	}
	ids := make([]int64, len(s.Jobs))
	for i, j := range s.Jobs {
		ids[i] = j.ID
	}
	return ids, err
}

// checkRound is how late a due check may be claimed. checkTimes are the ages at which an
// open payment is checked in its first hour.
const checkRound = 20 * time.Second

var checkTimes = []time.Duration{
	postgres.FirstCheckAfter, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour,
}

// jobs returns the jobs of the payment and of its events, the oldest first.
func (s *PaymentStory) jobs(ctx context.Context, db postgres.DB) ([]JobRow, error) {
	subjects, accepted := []string{s.Payment.ID.String()}, s.Payment.CreatedAt
	spans := []jobSpan{{accepted, accepted}}
	for _, age := range checkTimes[:min(s.Payment.Checks, len(checkTimes))] {
		spans = append(spans, jobSpan{accepted.Add(age), accepted.Add(age + checkRound)})
	}
	var known []int64
	for _, e := range s.Events {
		subjects = append(subjects, e.ID)
		spans = append(spans, eventSpans(e.ReceivedAt, e.DueAt)...)
		known = append(known, jobNamed(e.HandledBy)...)
	}
	for _, m := range s.Moves {
		if m.CauseKind == wallet.CauseJob {
			known = append(known, jobNamed(m.CauseID)...)
		}
	}
	for i, subject := range subjects {
		kind := "event"
		if i == 0 {
			kind = "payment"
		}
		requested, err := operatorJobs(ctx, db, kind, subject)
		if err != nil {
			return nil, err
		}
		known = append(known, requested...)
	}
	found, err := findJobs(ctx, db, subjects, spans)
	if err != nil {
		return nil, err
	}
	rows, _ := db.Query(ctx, `
		select `+jobColumns+` from river_job j `+jobSubject+` where j.id = any (@ids) order by j.id limit @limit`,
		pgx.NamedArgs{"mode": s.Payment.Mode, "ids": append(known, found...), "limit": storyLimit})
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[JobRow])
	if err != nil {
		return nil, fmt.Errorf("find jobs of payment %s: %w", s.Payment.ID, err)
	}
	return list, nil
}

// eventSpans returns when jobs of an event may have been inserted: soon after its
// receipt, and when it was last due.
func eventSpans(receivedAt, dueAt time.Time) []jobSpan {
	spans := []jobSpan{{receivedAt, receivedAt.Add(checkRound)}}
	if claimed := dueAt.Add(-postgres.RearmAfter); claimed.After(receivedAt.Add(checkRound)) {
		spans = append(spans, jobSpan{claimed, claimed})
	}
	return spans
}

// operatorJobs returns the ids of the jobs that operators requested for a subject.
func operatorJobs(ctx context.Context, db postgres.DB, kind, id string) ([]int64, error) {
	rows, _ := db.Query(ctx, `
		select (after ->> 'job_id')::bigint as id from operator_actions
		where subject_kind = $1 and subject_id = $2 and after ->> 'job_id' ~ '^[0-9]{1,18}$'
		order by id desc limit $3`, kind, id, storyLimit)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("find jobs that operators requested for %s: %w", id, err)
	}
	return ids, nil
}

// jobNamed parses "job 123" or "123". It returns nil for anything else.
func jobNamed(by string) []int64 {
	id, err := strconv.ParseInt(strings.TrimPrefix(by, "job "), 10, 64)
	if err != nil {
		return nil
	}
	return []int64{id}
}
