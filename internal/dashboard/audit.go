package dashboard

import (
	"strconv"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/postgres/views"
)

// listActions answers GET /admin/{mode}/audit.
func (d *Dashboard) listActions(r *request) error {
	f := views.OperatorActionFilter{
		Mode: r.mode, Actor: r.QueryParam("actor"), Action: r.QueryParam("action"), Limit: pageSize,
	}
	fetch := func(cursor string) (views.Page[postgres.OperatorAction], error) {
		g := f
		if cursor != "" {
			before, err := strconv.ParseInt(cursor, 10, 64)
			if err != nil {
				return views.Page[postgres.OperatorAction]{}, errNotFound
			}
			g.Before = before
		}
		g.Limit = f.Limit + 1
		list, err := views.ListOperatorActions(r.ctx(), d.Pool, g)
		page := views.Page[postgres.OperatorAction]{Rows: list}
		if len(list) > f.Limit {
			page.Rows = list[:f.Limit]
			page.Next = strconv.FormatInt(page.Rows[f.Limit-1].ID, 10)
		}
		return page, err
	}
	if r.wantsCSV() {
		f.Limit = csvPage
		return r.writeActionsCSV(fetch)
	}
	page, err := fetch(r.QueryParam("cursor"))
	if err != nil {
		return err
	}
	return r.view("Audit", "audit", page).ok("audit")
}

type actionPage struct {
	Action postgres.OperatorAction
	// Subject is the path of the subject's page, empty if it has none.
	Subject string
}

// showAction answers GET /admin/{mode}/audit/{id}.
func (d *Dashboard) showAction(r *request) error {
	id, err := strconv.ParseInt(r.Param("id"), 10, 64)
	if err != nil {
		return errNotFound
	}
	a, err := views.GetOperatorAction(r.ctx(), d.Pool, r.mode, id)
	if err != nil {
		return err
	}
	page := actionPage{Action: a}
	switch a.SubjectKind {
	case "event", "job", "payment":
		page.Subject = r.path("/" + a.SubjectKind + "s/" + a.SubjectID)
	case "queue":
		page.Subject = r.path("/queues")
	}
	return r.view("Audit row", "audit", page).ok("action")
}
