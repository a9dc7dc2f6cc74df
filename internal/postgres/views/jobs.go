package views

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// JobRow is a job as River stores it, with the payments and the event that its arguments
// name.
type JobRow struct {
	ID          int64
	State       string
	Kind        string
	Queue       string
	Priority    int
	Attempt     int
	MaxAttempts int
	Args        json.RawMessage
	Metadata    json.RawMessage
	Tags        []string
	AttemptedBy []string
	Errors      []json.RawMessage // one JobError each
	CreatedAt   time.Time
	ScheduledAt time.Time
	AttemptedAt *time.Time
	FinalizedAt *time.Time
	// PaymentIDs are the payments of the requested mode that the job is about.
	PaymentIDs []wallet.ID
	EventID    string
	// Mode is the mode of the payments or the event, empty for a job that is about
	// neither.
	Mode wallet.Mode
}

// Notes returns the job's metadata, nil if it has none.
func (j JobRow) Notes() json.RawMessage {
	if string(j.Metadata) == "{}" {
		return nil
	}
	return j.Metadata
}

// JobError is a failed attempt, as River stores it.
type JobError struct {
	At      time.Time `json:"at"`
	Attempt int       `json:"attempt"`
	Error   string    `json:"error"`
	Trace   string    `json:"trace"`
}

// Failures returns the failed attempts, the oldest first. It leaves out entries that are
// not valid JSON.
func (j JobRow) Failures() []JobError {
	var list []JobError
	for _, raw := range j.Errors {
		var e JobError
		if json.Unmarshal(raw, &e) == nil {
			list = append(list, e)
		}
	}
	return list
}

// JobStates lists River's job states, in the order of a job's life.
var JobStates = []string{
	"available", "running", "retryable", "scheduled", "pending", "completed", "cancelled", "discarded",
}

const jobColumns = `j.id, j.state::text, j.kind, j.queue, j.priority, j.attempt, j.max_attempts, j.args, j.metadata, j.tags::text[],
	coalesce(j.attempted_by, '{}') as attempted_by, coalesce(j.errors, '{}') as errors, j.created_at, j.scheduled_at,
	j.attempted_at, j.finalized_at, coalesce(s.payment_ids, '{}') as payment_ids, coalesce(s.event_id, '') as event_id,
	coalesce(s.mode, '') as mode`

// jobSubject finds the payments of @mode, or the event, that a job is about. It ignores
// arguments that are no ids. A job that charges payments of both modes belongs to both.
const jobSubject = `
	cross join lateral (
		select array_agg(x.payment_id order by x.payment_id) filter (where x.mode = @mode and x.payment_id is not null) as payment_ids,
			max(x.event_id) as event_id, coalesce(max(x.mode) filter (where x.mode = @mode), max(x.mode)) as mode
		from (
			select p.id as payment_id, null as event_id, p.mode
			from jsonb_array_elements_text(
				case when jsonb_typeof(j.args -> 'payment_ids') = 'array' then j.args -> 'payment_ids'
					else jsonb_build_array(j.args -> 'payment_id') end) as a (id)
			join payments p on p.id = case when a.id ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then a.id::uuid end
			union all
			select e.payment_id, e.id, e.mode from stripe_events e where e.id = j.args ->> 'event_id'
		) x
	) s`

// JobFilter selects jobs. Mode is required: jobs of the other mode never match, and jobs
// about no payment and no event match both. Other empty fields match every job.
type JobFilter struct {
	Mode     wallet.Mode
	State    string
	Kind     string
	Queue    string
	Priority int
	// Text must occur in the arguments or errors, in any case.
	Text string
	// IDs restricts the result to these jobs. Nil means no restriction.
	IDs    []int64
	Cursor string // Next of the page before, empty for the first page
	Limit  int
}

// jobOrder is the order of a list of jobs: by id, or by one of the times and then by id.
// An index of river_job supports each of them.
type jobOrder struct {
	column    string // empty: by id alone
	ascending bool
}

func (f JobFilter) order() jobOrder {
	switch {
	case f.IDs != nil || f.State == "":
		return jobOrder{}
	case f.Queue != "":
		return jobOrder{column: "scheduled_at", ascending: !finalState(f.State)}
	case finalState(f.State):
		return jobOrder{column: "finalized_at"}
	default:
		return jobOrder{column: "scheduled_at", ascending: true}
	}
}

func finalState(state string) bool {
	return state == "cancelled" || state == "completed" || state == "discarded"
}

// source returns a query that reads a window of jobs in the order o, by an index that has
// that order. River's index on scheduled_at begins with queue and priority, so the query
// reads each pair of them that occurs separately.
func (f JobFilter) source(o jobOrder) string {
	after := `(@first or (` + cmpTuple(o) + `))`
	switch {
	case f.IDs != nil:
		return `select * from river_job j where j.id = any (@ids) and ` + after
	case f.State == "":
		return `select * from river_job j where (@first or j.id < @after_id) order by j.id desc limit @window`
	case o.column == "finalized_at":
		return `select * from river_job j
			where j.state = @state::river_job_state and j.finalized_at is not null
				and j.finalized_at <= @after_at and ` + after + `
			order by j.finalized_at desc, j.id desc limit @window`
	default:
		sort, bound := "desc", "<="
		if o.ascending {
			sort, bound = "", ">="
		}
		return `select j.* from (` + jobLanes + ` select queue, priority from lanes where @queue = '' or queue = @queue) l
			cross join lateral (
				select * from river_job j
				where j.state = @state::river_job_state and j.queue = l.queue and j.priority = l.priority
					and j.scheduled_at ` + bound + ` @after_at and ` + after + `
				order by j.scheduled_at ` + sort + `, j.id ` + sort + ` limit @window
			) j`
	}
}

// jobLanes finds the pairs of queue and priority that occur in a state. It skips from one
// pair to the next in the index and does not read the jobs between them.
const jobLanes = `with recursive lanes as (
		(select queue, priority from river_job where state = @state::river_job_state order by queue, priority limit 1)
		union all
		select n.queue, n.priority from lanes l
		cross join lateral (
			select queue, priority from river_job
			where state = @state::river_job_state and (queue, priority) > (l.queue, l.priority)
			order by queue, priority limit 1
		) n
	)`

// cmpTuple returns the condition for rows after the cursor.
func cmpTuple(o jobOrder) string {
	switch {
	case o.column == "":
		return `j.id < @after_id`
	case o.ascending:
		return `(j.` + o.column + `, j.id) > (@after_at, @after_id)`
	default:
		return `(j.` + o.column + `, j.id) < (@after_at, @after_id)`
	}
}

func (o jobOrder) sql() string {
	switch {
	case o.column == "":
		return `order by j.id desc`
	case o.ascending:
		return `order by j.` + o.column + `, j.id`
	default:
		return `order by j.` + o.column + ` desc, j.id desc`
	}
}

func (o jobOrder) cursor(j JobRow) string {
	switch {
	case o.column == "":
		return strconv.FormatInt(j.ID, 10)
	case o.column == "finalized_at" && j.FinalizedAt != nil:
		return timeCursor(*j.FinalizedAt, strconv.FormatInt(j.ID, 10))
	default:
		return timeCursor(j.ScheduledAt, strconv.FormatInt(j.ID, 10))
	}
}

// jobWindow is the window (see ListWindow) of lists of jobs.
const jobWindow = ListWindow

// ListJobs returns a page of the jobs that match the filter. Jobs of a state that is not
// final come in the order in which they are due, others the newest first.
func ListJobs(ctx context.Context, db postgres.DB, f JobFilter) (Page[JobRow], error) {
	o := f.order()
	afterAt, afterID, err := parseJobCursor(f.Cursor, o)
	if err != nil {
		return Page[JobRow]{}, err
	}
	args := pgx.NamedArgs{
		"mode": f.Mode, "state": f.State, "state_text": f.State, "kind": f.Kind, "queue": f.Queue, "priority": f.Priority,
		"text": likePattern(f.Text), "ids": f.IDs, "first": f.Cursor == "", "after_at": afterAt, "after_id": afterID,
		"window": jobWindow, "limit": f.Limit + 1,
	}
	seen := `select * from (` + f.source(o) + `) j ` + o.sql() + ` limit @window`
	rows, _ := db.Query(ctx, `
		select `+jobColumns+`
		from (`+seen+`) j `+jobSubject+`
		where (@kind = '' or j.kind = @kind) and (@queue = '' or j.queue = @queue)
			and (@priority = 0 or j.priority = @priority)
			and (@state_text = '' or j.state::text = @state_text)
			and (@text = '' or j.args::text ilike @text or array_to_string(j.errors, ' ') ilike @text)
			and (s.mode is null or s.mode = @mode)
		`+o.sql()+`
		limit @limit`, args)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[JobRow])
	if err != nil {
		return Page[JobRow]{}, fmt.Errorf("list jobs: %w", err)
	}
	if len(list) > f.Limit {
		return paged(list, f.Limit, false, o.cursor, nil), nil
	}
	type windowEnd struct {
		N           int
		ID          int64
		ScheduledAt time.Time
		FinalizedAt *time.Time
	}
	rows, _ = db.Query(ctx, `
		select count(*) over () as n, j.id, j.scheduled_at, j.finalized_at
		from (`+seen+`) j `+reversed(o)+` limit 1`, args)
	end, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[windowEnd])
	if err = ignoreNoRows(err); err != nil {
		return Page[JobRow]{}, fmt.Errorf("list jobs: %w", err)
	}
	return paged(list, f.Limit, end.N >= jobWindow, o.cursor, func() string {
		return o.cursor(JobRow{ID: end.ID, ScheduledAt: end.ScheduledAt, FinalizedAt: end.FinalizedAt})
	}), nil
}

func reversed(o jobOrder) string {
	switch {
	case o.column == "":
		return `order by j.id`
	case o.ascending:
		return `order by j.` + o.column + ` desc, j.id desc`
	default:
		return `order by j.` + o.column + `, j.id`
	}
}

func parseJobCursor(cursor string, o jobOrder) (time.Time, int64, error) {
	at, id := farFuture, cursor
	if o.ascending {
		at = time.Time{}
	}
	if cursor == "" {
		return at, 0, nil
	}
	if o.column != "" {
		var err error
		if at, id, err = parseTimeCursor(cursor); err != nil {
			return at, 0, err
		}
	}
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return at, 0, errCursor
	}
	return at, n, nil
}

// GetJob returns a job. The error is CodeNotFound if the job is unknown or of the other
// mode.
func GetJob(ctx context.Context, db postgres.DB, mode wallet.Mode, id int64) (JobRow, error) {
	rows, _ := db.Query(ctx, `
		select `+jobColumns+`
		from river_job j `+jobSubject+`
		where j.id = @id and (s.mode is null or s.mode = @mode)`, pgx.NamedArgs{"mode": mode, "id": id})
	j, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[JobRow])
	if errors.Is(err, pgx.ErrNoRows) {
		return j, &wallet.Error{Code: wallet.CodeNotFound, Message: "No such job. River deletes jobs some time after they end."}
	}
	if err != nil {
		return j, fmt.Errorf("find job %d: %w", id, err)
	}
	return j, nil
}

// likePattern returns a LIKE pattern that matches text anywhere. It is empty for no text.
func likePattern(text string) string {
	if text == "" {
		return ""
	}
	return "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(text) + "%"
}
