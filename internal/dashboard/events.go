package dashboard

import (
	"context"
	"encoding/json"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/postgres/views"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/jobs"
)

type eventsPage struct {
	Page     views.Page[views.EventRow]
	Statuses []postgres.EventStatus
	Types    []views.EventTypeRow
}

// listEvents answers GET /admin/{mode}/events.
func (d *Dashboard) listEvents(r *request) error {
	f := views.EventRowFilter{
		Mode: r.mode, Status: postgres.EventStatus(r.QueryParam("status")), Type: r.QueryParam("type"),
		Cursor: r.QueryParam("cursor"), Limit: pageSize,
	}
	if r.wantsCSV() {
		return d.writeEventsCSV(r, f)
	}
	page := eventsPage{Statuses: []postgres.EventStatus{postgres.EventPending, postgres.EventHandled, postgres.EventIgnored}}
	var err error
	if page.Page, err = views.ListEventRows(r.ctx(), d.Pool, f); err != nil {
		return err
	}
	if page.Types, err = views.ListEventTypes(r.ctx(), d.Pool, r.mode); err != nil {
		return err
	}
	v := r.view("Events", "events", page)
	if v.FirstPage() {
		v.live("events", "")
	}
	return v.ok("events")
}

// event returns the stored event of this mode that the path names.
func (d *Dashboard) event(r *request) (postgres.Event, error) {
	e, err := postgres.GetEvent(r.ctx(), d.Pool, r.Param("id"))
	if err == nil && e.Mode != r.mode {
		err = &wallet.Error{Code: wallet.CodeNotFound, Message: "Event not found."}
	}
	return e, err
}

type eventPage struct {
	Event     postgres.Event
	Body      string
	Masked    bool
	Jobs      []views.JobRow
	Actions   []postgres.OperatorAction
	StripeURL string
}

// PaymentID returns the payment that the event is about, nil if there is none.
func (p eventPage) PaymentID() *wallet.ID {
	if p.Event.PaymentID == (wallet.ID{}) {
		return nil
	}
	return &p.Event.PaymentID
}

// showEvent answers GET /admin/{mode}/events/{id}.
func (d *Dashboard) showEvent(r *request) error {
	e, err := d.event(r)
	if err != nil {
		return err
	}
	page := eventPage{Event: e, StripeURL: r.stripeURL("events", e.ID)}
	page.Body, page.Masked = r.eventBody(e.Body)
	ids, err := views.FindEventJobs(r.ctx(), d.Pool, r.mode, e.ID)
	if err != nil {
		return err
	}
	list, err := views.ListJobs(r.ctx(), d.Pool, views.JobFilter{Mode: r.mode, IDs: ids, Limit: pageSize})
	if err != nil {
		return err
	}
	page.Jobs = list.Rows
	page.Actions, err = views.ListOperatorActions(r.ctx(), d.Pool, views.OperatorActionFilter{
		Mode: r.mode, SubjectKind: "event", SubjectID: e.ID, Limit: pageSize,
	})
	if err != nil {
		return err
	}
	v := r.view("Event", "events", page)
	if e.Status == postgres.EventPending {
		v.live("event "+e.ID, version(e))
	}
	return v.ok("event")
}

// eventBody returns the body as the user may see it. The second result reports whether
// personal data is masked.
func (r *request) eventBody(body []byte) (string, bool) {
	if r.user.Role.Includes(postgres.RoleSupport) {
		return pretty(body), false
	}
	var v any
	if json.Unmarshal(body, &v) != nil {
		return "The body is not shown, because it is not JSON.", true
	}
	return pretty(maskFields(v)), true
}

// personal is the set of the fields of Stripe's objects that may contain personal data.
var personal = map[string]bool{
	"address": true, "client_secret": true, "customer_email": true, "customer_name": true, "description": true,
	"email": true, "fingerprint": true, "ip": true, "last4": true, "metadata": true, "name": true, "phone": true,
	"receipt_email": true, "receipt_url": true, "shipping": true, "url": true,
}

// maskFields replaces the values of personal fields in a decoded JSON value.
func maskFields(v any) any {
	switch t := v.(type) {
	case map[string]any:
		for k, inner := range t {
			if personal[k] && inner != nil {
				t[k] = "•••"
				continue
			}
			t[k] = maskFields(inner)
		}
	case []any:
		for i, inner := range t {
			t[i] = maskFields(inner)
		}
	}
	return v
}

type replayPage struct {
	Event   postgres.Event
	Preview jobs.EventPreview
	// Problem is the error of the preview, empty if it succeeded.
	Problem string
}

// previewReplay answers GET /admin/{mode}/events/{id}/replay with what handling the event
// again would change. It handles the event in a transaction that is rolled back.
func (d *Dashboard) previewReplay(r *request) error {
	e, err := d.event(r)
	if err != nil {
		return err
	}
	page := replayPage{Event: e}
	if page.Preview, err = d.Payments.PreviewEvent(r.ctx(), e.ID); err != nil {
		page.Problem = err.Error()
	}
	return r.view("Replay event", "events", page).ok("replay")
}

// replayEvent answers POST /admin/{mode}/events/{id}/replay.
func (d *Dashboard) replayEvent(r *request) error {
	e, err := d.event(r)
	if err != nil {
		return err
	}
	err = r.act("event.replay", "event", e.ID, func(ctx context.Context, tx pgx.Tx) (change, error) {
		before, err := postgres.GetEvent(ctx, tx, e.ID)
		if err != nil {
			return change{}, err
		}
		jobID, err := d.Payments.ReplayEventTx(ctx, tx, e.ID)
		return change{
			before: map[string]any{"status": before.Status, "handled_at": before.HandledAt, "note": before.Note},
			after:  map[string]any{"status": postgres.EventPending, "job_id": jobID},
		}, err
	})
	if err != nil {
		return err
	}
	return r.done(r.path("/events/"+e.ID), "replay")
}
