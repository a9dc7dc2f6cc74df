package dashboard

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/postgres/views"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/jobs"
)

type jobsPage struct {
	Page   views.Page[views.JobRow]
	States []string
	Counts map[string]views.Count
	Queues []views.QueueRow
	Kinds  []string
	Filter views.JobFilter
}

// Narrow reports whether the filter has more than the state.
func (p jobsPage) Narrow() bool {
	f := p.Filter
	return f.Kind != "" || f.Queue != "" || f.Priority != 0 || f.IDs != nil || f.Text != ""
}

func (r *request) jobFilter() (views.JobFilter, error) {
	f := views.JobFilter{
		Mode: r.mode, State: r.QueryParam("state"), Kind: r.QueryParam("kind"), Queue: r.QueryParam("queue"),
		Text: r.QueryParam("text"), Cursor: r.QueryParam("cursor"), Limit: pageSize,
	}
	if f.State != "" && !slices.Contains(views.JobStates, f.State) {
		return f, errNotFound
	}
	if p := r.QueryParam("priority"); p != "" {
		n, err := strconv.Atoi(p)
		if err != nil {
			return f, errNotFound
		}
		f.Priority = n
	}
	return f, r.findTag(&f)
}

// findTag restricts a filter to the jobs of the payment or event that the request names.
func (r *request) findTag(f *views.JobFilter) error {
	tag := strings.TrimSpace(r.QueryParam("tag"))
	if tag == "" {
		return nil
	}
	var err error
	if id, malformed := wallet.ParseID(wallet.PrefixPayment, r.mode, tag); malformed == nil {
		f.IDs, err = views.FindPaymentJobs(r.ctx(), r.dashboard.Pool, r.mode, id)
		return err
	}
	f.IDs, err = views.FindEventJobs(r.ctx(), r.dashboard.Pool, r.mode, tag)
	return err
}

// listJobs answers GET /admin/{mode}/jobs.
func (d *Dashboard) listJobs(r *request) error {
	f, err := r.jobFilter()
	if err != nil {
		return err
	}
	if r.wantsCSV() {
		return d.writeJobsCSV(r, f)
	}
	page := jobsPage{States: views.JobStates, Filter: f, Kinds: jobs.Kinds()}
	if page.Page, err = views.ListJobs(r.ctx(), d.Pool, f); err != nil {
		return err
	}
	if page.Counts, err = views.CountJobs(r.ctx(), d.Pool); err != nil {
		return err
	}
	if page.Queues, err = views.ListQueues(r.ctx(), d.Pool); err != nil {
		return err
	}
	// The database may still have jobs of a kind that this version does not know.
	for _, j := range page.Page.Rows {
		if !slices.Contains(page.Kinds, j.Kind) {
			page.Kinds = append(page.Kinds, j.Kind)
		}
	}
	v := r.view("Jobs", "jobs", page)
	if v.FirstPage() {
		v.live("jobs", "")
	}
	return v.ok("jobs")
}

type jobPage struct {
	Job      views.JobRow
	Failures []views.JobError // the newest first
	Actions  []postgres.OperatorAction
}

// CanRetry, CanCancel, CanDelete and CanSnooze report whether the action would have an
// effect on the job.
func (p jobPage) CanRetry() bool  { return p.Job.State != "running" && p.Job.State != "available" }
func (p jobPage) CanCancel() bool { return p.Job.FinalizedAt == nil }
func (p jobPage) CanDelete() bool { return p.Job.State != "running" }
func (p jobPage) CanSnooze() bool {
	return p.Job.State == "available" || p.Job.State == "retryable" || p.Job.State == "scheduled"
}

// Waited returns the time from when the job was due to the start of its last attempt, zero
// if it has not started.
func (p jobPage) Waited() time.Duration {
	if p.Job.AttemptedAt == nil {
		return 0
	}
	return max(p.Job.AttemptedAt.Sub(p.Job.ScheduledAt), 0)
}

// Took returns the duration of the last attempt, zero if the job has not ended.
func (p jobPage) Took() time.Duration {
	if p.Job.AttemptedAt == nil || p.Job.FinalizedAt == nil {
		return 0
	}
	return max(p.Job.FinalizedAt.Sub(*p.Job.AttemptedAt), 0)
}

func (r *request) jobID() (int64, error) {
	id, err := strconv.ParseInt(r.Param("id"), 10, 64)
	if err != nil {
		return 0, errNotFound
	}
	return id, nil
}

// showJob answers GET /admin/{mode}/jobs/{id}.
func (d *Dashboard) showJob(r *request) error {
	id, err := r.jobID()
	if err != nil {
		return err
	}
	var page jobPage
	if page.Job, err = views.GetJob(r.ctx(), d.Pool, r.mode, id); err != nil {
		return err
	}
	page.Failures = page.Job.Failures()
	slices.Reverse(page.Failures)
	page.Actions, err = views.ListOperatorActions(r.ctx(), d.Pool, views.OperatorActionFilter{
		Mode: r.mode, SubjectKind: "job", SubjectID: strconv.FormatInt(id, 10), Limit: pageSize,
	})
	if err != nil {
		return err
	}
	v := r.view("Job", "jobs", page)
	if page.Job.FinalizedAt == nil {
		v.live("job "+strconv.FormatInt(id, 10), version(page.Job))
	}
	return v.ok("job")
}

// retryJob answers POST /admin/{mode}/jobs/{id}/retry.
func (d *Dashboard) retryJob(r *request) error {
	return r.changeJob("retry", func(ctx context.Context, tx pgx.Tx, id int64) error {
		_, err := d.River.JobRetryTx(ctx, tx, id)
		return err
	})
}

// cancelJob answers POST /admin/{mode}/jobs/{id}/cancel.
func (d *Dashboard) cancelJob(r *request) error {
	return r.changeJob("cancel", func(ctx context.Context, tx pgx.Tx, id int64) error {
		_, err := d.River.JobCancelTx(ctx, tx, id)
		return err
	})
}

// deleteJob answers POST /admin/{mode}/jobs/{id}/delete.
func (d *Dashboard) deleteJob(r *request) error {
	return r.changeJob("delete", func(ctx context.Context, tx pgx.Tx, id int64) error {
		_, err := d.River.JobDeleteTx(ctx, tx, id)
		return err
	})
}

// snoozes are the durations for which a job can be snoozed.
var snoozes = map[string]time.Duration{
	"5m": 5 * time.Minute, "1h": time.Hour, "24h": 24 * time.Hour,
}

// snooze returns the duration that a form selects.
func (r *request) snooze() (time.Duration, error) {
	wait, ok := snoozes[r.Request().PostForm.Get("for")]
	if !ok {
		return 0, refuse(http.StatusUnprocessableEntity, "Invalid duration", "A job can be snoozed for 5 minutes, 1 hour or 24 hours.")
	}
	return wait, nil
}

// snoozeJob answers POST /admin/{mode}/jobs/{id}/snooze.
func (d *Dashboard) snoozeJob(r *request) error {
	wait, err := r.snooze()
	if err != nil {
		return err
	}
	return r.changeJob("snooze", func(ctx context.Context, tx pgx.Tx, id int64) error {
		done, err := postgres.SnoozeJob(ctx, tx, id, r.now.Add(wait))
		if err == nil && !done {
			err = refuse(http.StatusConflict, "Too late", "The job is running or has ended.")
		}
		return err
	})
}

// jobState is the state of a job in an audit row.
type jobState struct {
	State       string      `json:"state"`
	Kind        string      `json:"kind"`
	Attempt     int         `json:"attempt"`
	ScheduledAt time.Time   `json:"scheduled_at"`
	PaymentIDs  []wallet.ID `json:"payment_ids,omitempty"`
	EventID     string      `json:"event_id,omitempty"`
}

func stateOf(j views.JobRow) jobState {
	return jobState{
		State: j.State, Kind: j.Kind, Attempt: j.Attempt, ScheduledAt: j.ScheduledAt,
		PaymentIDs: j.PaymentIDs, EventID: j.EventID,
	}
}

// changeJob performs an action on a job of this mode or of none.
func (r *request) changeJob(action string, do func(ctx context.Context, tx pgx.Tx, id int64) error) error {
	id, err := r.jobID()
	if err != nil {
		return err
	}
	err = r.act("job."+action, "job", strconv.FormatInt(id, 10), func(ctx context.Context, tx pgx.Tx) (change, error) {
		before, err := views.GetJob(ctx, tx, r.mode, id)
		if err != nil {
			return change{}, err
		}
		if err := do(ctx, tx, id); err != nil {
			return change{}, riverError(err)
		}
		ch := change{before: stateOf(before)}
		after, err := views.GetJob(ctx, tx, r.mode, id)
		switch {
		case wallet.HasCode(err, wallet.CodeNotFound):
			return ch, nil // the action deleted the job
		case err != nil:
			return ch, err
		}
		ch.after = stateOf(after)
		return ch, nil
	})
	if err != nil {
		return err
	}
	if action == "delete" {
		return r.done(r.path("/jobs"), action)
	}
	return r.done(r.path("/jobs/"+strconv.FormatInt(id, 10)), action)
}

type queuesPage struct {
	Queues   []views.QueueRow
	Workers  []postgres.Worker
	Periodic []periodicRow
}

type periodicRow struct {
	Periodic
	Last *views.PeriodicRun
	// NextAt is when the job should run next, zero if it has not run.
	NextAt time.Time
	// Late reports whether the job is overdue by more than one interval and a minute.
	Late bool
}

// listQueues answers GET /admin/{mode}/queues.
func (d *Dashboard) listQueues(r *request) error {
	var (
		page queuesPage
		err  error
	)
	if page.Queues, err = views.ListQueues(r.ctx(), d.Pool); err != nil {
		return err
	}
	if r.wantsCSV() {
		return r.writeQueuesCSV(page.Queues)
	}
	if page.Workers, err = postgres.ListWorkers(r.ctx(), d.Pool); err != nil {
		return err
	}
	if page.Periodic, err = d.periodicRows(r); err != nil {
		return err
	}
	return r.view("Queues", "queues", page).live("queues", "").ok("queues")
}

func (d *Dashboard) periodicRows(r *request) ([]periodicRow, error) {
	if len(d.Periodic) == 0 {
		return nil, nil
	}
	runs, err := views.ListPeriodicRuns(r.ctx(), d.Pool, d.PeriodicQueue)
	if err != nil {
		return nil, err
	}
	rows := make([]periodicRow, len(d.Periodic))
	for i, p := range d.Periodic {
		rows[i].Periodic = p
		if n := slices.IndexFunc(runs, func(run views.PeriodicRun) bool { return run.Kind == p.Kind }); n >= 0 {
			rows[i].Last = &runs[n]
			rows[i].NextAt = runs[n].At.Add(p.Every)
			rows[i].Late = r.now.Sub(rows[i].NextAt) > p.Every+time.Minute
		}
	}
	return rows, nil
}

// pauseQueue answers POST /admin/{mode}/queues/{name}/pause. Queues serve both modes; the
// audit row belongs to the mode of the request.
func (d *Dashboard) pauseQueue(r *request) error {
	return d.changeQueue(r, "pause", func(ctx context.Context, tx pgx.Tx, name string) error {
		return d.River.QueuePauseTx(ctx, tx, name, nil)
	})
}

// resumeQueue answers POST /admin/{mode}/queues/{name}/resume.
func (d *Dashboard) resumeQueue(r *request) error {
	return d.changeQueue(r, "resume", func(ctx context.Context, tx pgx.Tx, name string) error {
		return d.River.QueueResumeTx(ctx, tx, name, nil)
	})
}

// changeQueue performs an action on the queue that the path names.
func (d *Dashboard) changeQueue(r *request, action string, do func(ctx context.Context, tx pgx.Tx, name string) error) error {
	name, err := url.PathUnescape(r.Param("name"))
	if err != nil || name == "*" { // River applies "*" to all queues
		return errNotFound
	}
	err = r.act("queue."+action, "queue", name, func(ctx context.Context, tx pgx.Tx) (change, error) {
		before, err := postgres.QueuePausedAt(ctx, tx, name)
		if err != nil {
			return change{}, err
		}
		if err := do(ctx, tx, name); err != nil {
			return change{}, riverError(err)
		}
		after, err := postgres.QueuePausedAt(ctx, tx, name)
		return change{before: map[string]any{"paused_at": before}, after: map[string]any{"paused_at": after}}, err
	})
	if err != nil {
		return err
	}
	return r.done(r.path("/queues"), action)
}

// ids parses the ids of the jobs that a form names.
func (r *request) ids(values []string) ([]int64, error) {
	var list []int64
	for _, text := range values {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, errNotFound
		}
		list = append(list, id)
	}
	return list, nil
}

// joined returns ids separated by spaces.
func joined(ids []wallet.ID) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = id.String()
	}
	return strings.Join(texts, " ")
}

// isUUID parses a UUID in its usual form of 36 characters, and reports whether the text is
// one.
func isUUID(text string) (wallet.ID, bool) {
	id, err := uuid.Parse(text)
	const length = 36
	return id, err == nil && len(text) == length
}
