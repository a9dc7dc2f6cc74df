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

// maxBulk is how many jobs one action may touch. It runs in one transaction, which
// should stay a matter of a second.
const maxBulk = 1000

// bulkActions are what can be done to many jobs, and who may.
var bulkActions = map[string]postgres.Role{
	"cancel": postgres.RoleOperator,
	"delete": postgres.RoleAdmin,
	"retry":  postgres.RoleOperator,
	"snooze": postgres.RoleOperator,
}

type bulkPage struct {
	Action string
	Jobs   []views.JobRow
	// More tells that the filter finds more jobs than one action may touch, or than
	// were looked at.
	More   bool
	ByKind map[string]int
	Back   string
}

// Sample is as many of the jobs as a person reads.
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
		return "", refuse(http.StatusForbidden, "Not allowed", "This takes the role "+string(least)+"; yours is "+string(r.user.Role)+".")
	}
	return action, nil
}

// previewBulk answers GET /admin/{mode}/jobs/bulk: it says how many jobs an action
// would touch, and which. The form that follows names exactly those.
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

// bulkResult is what the audit row of a bulk action says.
type bulkResult struct {
	Asked   int     `json:"asked"`
	Touched []int64 `json:"touched"`
	// Left are those that had been deleted, that were running and cannot be, or that
	// were to be put off and did not wait.
	Left []int64 `json:"left,omitempty"`
}

// bulkJobs answers POST /admin/{mode}/jobs/bulk. It touches the jobs that the
// preview named and that belong to this mode or none; all in one transaction.
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
		return refuse(http.StatusUnprocessableEntity, "Too few or too many",
			fmt.Sprintf("One action touches 1 to %d jobs; this one names %d.", maxBulk, len(ids)))
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

// errNotWaiting reports a job that cannot be put off: it runs, or has ended.
var errNotWaiting = errors.New("the job does not wait")

// bulkDo is what an action does to each job.
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

// riverError turns what River refuses into words for the person who asked.
func riverError(err error) error {
	switch {
	case errors.Is(err, rivertype.ErrNotFound):
		return refuse(http.StatusNotFound, "Not found", "It is not there any more.")
	case errors.Is(err, rivertype.ErrJobRunning):
		return refuse(http.StatusConflict, "The job is running", "Cancel it first, or wait until its attempt has ended.")
	}
	return err
}
