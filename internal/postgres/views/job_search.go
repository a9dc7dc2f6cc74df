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

// Nothing indexes what jobs are about, because every index costs each job three
// writes. But jobs are inserted with, or soon after, the rows that they are about,
// and their ids rise with time: so the jobs of a moment are found by halving the
// range of ids, and there are few of them.

// jobSlack is how far the clocks that stamp rows and jobs may be apart.
const jobSlack = 2 * time.Second

// jobSpan is a stretch of time in which jobs were inserted.
type jobSpan struct{ from, until time.Time }

// maxSpans is how many stretches of time are looked through for one subject.
const maxSpans = 16

// firstJobs gives for each time the smallest id of a job that was inserted then or
// later. Each step halves the range of ids that is left.
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

// findJobs gives the ids of the jobs that name one of the subjects (a payment's id
// as a UUID, or an event's) among those inserted in one of the spans.
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

// FindEventJobs gives the ids of the jobs of an event of a mode: those inserted
// when it came, the one that handled it, and those that operators had inserted.
func FindEventJobs(ctx context.Context, db postgres.DB, mode wallet.Mode, eventID string) ([]int64, error) {
	var (
		receivedAt, dueAt time.Time
		handledBy         string
	)
	err := db.QueryRow(ctx, `
		select received_at, due_at, coalesce(handled_by, '') from stripe_events where mode = $1 and id = $2`,
		mode, eventID).Scan(&receivedAt, &dueAt, &handledBy)
	if err != nil {
		return []int64{}, ignoreNoRows(err)
	}
	ids, err := findJobs(ctx, db, []string{eventID}, eventSpans(receivedAt, dueAt))
	if err != nil {
		return nil, err
	}
	asked, err := operatorJobs(ctx, db, "event", eventID)
	if err != nil {
		return nil, err
	}
	return append(append(ids, jobNamed(handledBy)...), asked...), nil
}

// FindPaymentJobs gives the ids of the jobs of a payment of a mode and of its
// events: those inserted when it was accepted or due for a check, those that moved
// it, and those that operators had inserted. Checks after the first hour are found
// by what they did.
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

// checkRound is how long after its time a check may be claimed, and checkTimes the
// ages at which an open payment is checked while it is young.
const checkRound = 20 * time.Second

var checkTimes = []time.Duration{
	postgres.FirstCheckAfter, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour,
}

// jobs finds the jobs of the payment and of its events, the oldest first.
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
		asked, err := operatorJobs(ctx, db, kind, subject)
		if err != nil {
			return nil, err
		}
		known = append(known, asked...)
	}
	found, err := findJobs(ctx, db, subjects, spans)
	if err != nil {
		return nil, err
	}
	rows, _ := db.Query(ctx, `
		select `+jobColumns+` from river_job j `+jobSubject+` where j.id = any (@ids) order by j.id limit @limit`,
		pgx.NamedArgs{"mode": s.Payment.Mode, "ids": append(known, found...), "limit": storyLimit})
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[JobRow])
	if err != nil {
		return nil, fmt.Errorf("find jobs of payment %s: %w", s.Payment.ID, err)
	}
	return list, nil
}

// eventSpans are when jobs of an event are inserted: soon after it came, or when it
// was due the last time.
func eventSpans(receivedAt, dueAt time.Time) []jobSpan {
	spans := []jobSpan{{receivedAt, receivedAt.Add(checkRound)}}
	if claimed := dueAt.Add(-postgres.RearmAfter); claimed.After(receivedAt.Add(checkRound)) {
		spans = append(spans, jobSpan{claimed, claimed})
	}
	return spans
}

// operatorJobs gives the jobs that operators had inserted for something.
func operatorJobs(ctx context.Context, db postgres.DB, kind, id string) ([]int64, error) {
	rows, _ := db.Query(ctx, `
		select (after ->> 'job_id')::bigint from operator_actions
		where subject_kind = $1 and subject_id = $2 and after ->> 'job_id' ~ '^[0-9]{1,18}$'
		order by id desc limit $3`, kind, id, storyLimit)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("find jobs that operators inserted for %s: %w", id, err)
	}
	return ids, nil
}

// jobNamed reads the id of a job out of "job 123" or "123"; nothing else has one.
func jobNamed(by string) []int64 {
	id, err := strconv.ParseInt(strings.TrimPrefix(by, "job "), 10, 64)
	if err != nil {
		return nil
	}
	return []int64{id}
}
