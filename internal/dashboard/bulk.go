package dashboard

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river/rivertype"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/postgres/views"
)

// maxBulk is the largest number of jobs that one action changes. An action is one
// transaction, which should not take much longer than a second.
const maxBulk = 1000

// bulkActions are the actions on many jobs, with the roles that they require.
var bulkActions = map[string]postgres.Role{
	"cancel": postgres.RoleOperator,
	"delete": postgres.RoleAdmin,
	"retry":  postgres.RoleOperator,
	"snooze": postgres.RoleOperator,
}

type bulkPage struct {
	Action string
	Jobs   []views.JobRow
	// More reports whether the filter may match more jobs than Jobs has.
	More   bool
	ByKind map[string]int
	Back   string
}

// Sample returns the first jobs, to be shown to the user.
func (p bulkPage) Sample() []views.JobRow {
	const few = 20
	return p.Jobs[:min(len(p.Jobs), few)]
}

func (r *request) bulkAction(values url.Values) (string, error) {
	action := values.Get("action")
	least, ok := bulkActions[action]
	if !ok {
		return "", errNotFound
	}
	if !r.user.Role.Includes(least) {
		return "", refuse(http.StatusForbidden, "Not allowed", "This requires the role "+string(least)+". Your role is "+string(r.user.Role)+".")
	}
	return action, nil
}

// previewBulk answers GET /admin/{mode}/jobs/bulk with the jobs that an action would
// change. The page's form names exactly these jobs.
func (d *Dashboard) previewBulk(r *request) error {
	action, err := r.bulkAction(r.QueryParams())
	if err != nil {
		return err
	}
	f, err := r.jobFilter()
	if err != nil {
		return err
	}
	if selected := r.QueryParams()["id"]; len(selected) > 0 {
		if f.IDs, err = r.ids(selected); err != nil {
			return err
		}
	}
	f.Cursor, f.Limit = "", maxBulk
	list, err := views.ListJobs(r.ctx(), d.Pool, f)
	if err != nil {
		return err
	}
	q := r.QueryParams()
	q.Del("action")
	q.Del("id")
	page := bulkPage{
		Action: action, Jobs: list.Rows, More: list.Next != "", ByKind: make(map[string]int), Back: withQuery(r.path("/jobs"), q),
	}
	for _, j := range list.Rows {
		page.ByKind[j.Kind+", "+j.State]++
	}
	return r.view(label(action)+" jobs", "jobs", page).ok("bulk")
}

// bulkResult is the result of a bulk action in its audit row.
type bulkResult struct {
	Asked   int     `json:"asked"`
	Touched []int64 `json:"touched"`
	// Left are the jobs that the action did not change, because they were deleted
	// meanwhile, are running, or are to be snoozed but do not wait.
	Left []int64 `json:"left,omitempty"`
}

// bulkJobs answers POST /admin/{mode}/jobs/bulk. In one transaction it changes those jobs
// of the preview that still exist and belong to this mode or to none.
func (d *Dashboard) bulkJobs(r *request) error {
	form := r.Request().PostForm
	action, err := r.bulkAction(form)
	if err != nil {
		return err
	}
	ids, err := r.ids(form["id"])
	if err != nil {
		return err
	}
	if len(ids) == 0 || len(ids) > maxBulk {
		return refuse(http.StatusUnprocessableEntity, "Too few or too many jobs",
			fmt.Sprintf("One action changes 1 to %d jobs. This one names %d.", maxBulk, len(ids)))
	}
	do, err := d.bulkDo(r, action)
	if err != nil {
		return err
	}
	subject := strconv.Itoa(len(ids)) + " jobs"
	err = r.act("jobs."+action, "jobs", subject, func(ctx context.Context, tx pgx.Tx) (change, error) {
		list, err := views.ListJobs(ctx, tx, views.JobFilter{Mode: r.mode, IDs: ids, Limit: maxBulk})
		if err != nil {
			return change{}, err
		}
		before := make(map[string]int)
		result := bulkResult{Asked: len(ids), Touched: []int64{}}
		for _, j := range list.Rows {
			before[j.State]++
			err := do(ctx, tx, j.ID)
			switch {
			case errors.Is(err, rivertype.ErrNotFound), errors.Is(err, rivertype.ErrJobRunning), errors.Is(err, errNotWaiting):
				result.Left = append(result.Left, j.ID)
			case err != nil:
				return change{}, fmt.Errorf("%s job %d: %w", action, j.ID, err)
			default:
				result.Touched = append(result.Touched, j.ID)
			}
		}
		return change{before: before, after: result}, nil
	})
	if err != nil {
		return err
	}
	return r.done(r.path("/audit"), "jobs")
}

// errNotWaiting reports that a job cannot be snoozed.
var errNotWaiting = errors.New("the job is running or has ended")

// bulkDo returns the function that performs an action on one job.
func (d *Dashboard) bulkDo(r *request, action string) (func(context.Context, pgx.Tx, int64) error, error) {
	if action == "snooze" {
		wait, err := r.snooze()
		return func(ctx context.Context, tx pgx.Tx, id int64) error {
			done, err := postgres.SnoozeJob(ctx, tx, id, r.now.Add(wait))
			if err == nil && !done {
				err = errNotWaiting
			}
			return err
		}, err
	}
	river := map[string]func(context.Context, pgx.Tx, int64) (*rivertype.JobRow, error){
		"cancel": d.River.JobCancelTx, "delete": d.River.JobDeleteTx, "retry": d.River.JobRetryTx,
	}[action]
	return func(ctx context.Context, tx pgx.Tx, id int64) error {
		_, err := river(ctx, tx, id)
		return err
	}, nil
}

// riverError returns an error for the user if River refused an operation.
func riverError(err error) error {
	switch {
	case errors.Is(err, rivertype.ErrNotFound):
		return refuse(http.StatusNotFound, "Not found", "The job or queue does not exist any more.")
	case errors.Is(err, rivertype.ErrJobRunning):
		return refuse(http.StatusConflict, "The job is running", "Cancel it first, or wait until its attempt ends.")
	}
	return err
}
