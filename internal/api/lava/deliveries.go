package lava

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/fundrail/fundrail/internal/api"
	"github.com/fundrail/fundrail/internal/nullable"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// deliveryResource is the delivery of an event to an endpoint. It is an addition to
// Lava's dialect.
type deliveryResource struct {
	DeliveryID     string  `json:"delivery_id"`
	EventID        string  `json:"event_id"`
	Event          string  `json:"event"`
	Sequence       int64   `json:"sequence"`
	Status         string  `json:"status"`
	Attempts       int     `json:"attempts"`
	ResponseStatus *int    `json:"response_status"`
	Error          *string `json:"error"`
	CreatedAt      string  `json:"created_at"`
	FinishedAt     *string `json:"finished_at"`
}

// listDeliveries answers GET /v1/webhooks/{id}/deliveries, the newest first.
func (d *Dialect) listDeliveries(c echo.Context, caller postgres.Caller) error {
	ref, err := webhookRef(c, caller)
	if err != nil {
		return err
	}
	req, issues := decodePageRequest(c.QueryParams(), wallet.PrefixDelivery, caller.Mode)
	status := wallet.DeliveryStatus(c.QueryParam("status"))
	switch status {
	case "", wallet.DeliveryFailed, wallet.DeliveryPending, wallet.DeliverySucceeded:
	default:
		issues = append(issues, api.Issue{Path: []string{"status"}, Message: "Must be one of failed, pending, succeeded"})
	}
	if issues != nil {
		return api.InvalidQuery(issues...)
	}
	ctx := c.Request().Context()
	e, err := postgres.GetEndpoint(ctx, d.LookUps(), ref)
	if err != nil {
		return err
	}
	list, err := postgres.ListDeliveries(ctx, d.LookUps(), e.ID, status, req.after, req.Limit+1)
	if err != nil {
		return err
	}
	show := func(d postgres.DeliveryLine) deliveryResource { return newDeliveryResource(e, d) }
	return api.WriteJSON(c, http.StatusOK, newPage(list, req.Limit, show, func(r deliveryResource) string { return r.DeliveryID }))
}

func newDeliveryResource(e wallet.Endpoint, d postgres.DeliveryLine) deliveryResource {
	r := deliveryResource{
		DeliveryID: wallet.Spell(wallet.PrefixDelivery, e.Mode, d.ID),
		EventID:    wallet.Spell(wallet.PrefixEvent, e.Mode, d.EventID),
		Event:      e.Signature.DeliveryName(d.Type),
		Sequence:   d.Sequence,
		Status:     string(d.Status),
		Attempts:   d.Attempts,
		Error:      nullable.From(d.Error),
		CreatedAt:  api.Timestamp(d.CreatedAt),
	}
	if d.ResponseStatus != 0 {
		r.ResponseStatus = &d.ResponseStatus
	}
	if d.FinishedAt != nil {
		at := api.Timestamp(*d.FinishedAt)
		r.FinishedAt = &at
	}
	return r
}

// redeliver answers POST /v1/webhooks/{id}/redeliver: it sends one delivery, or all
// deliveries between two times, again.
func (d *Dialect) redeliver(c echo.Context, caller postgres.Caller) error {
	ref, err := webhookRef(c, caller)
	if err != nil {
		return err
	}
	body, err := api.ReadObject(c)
	if err != nil {
		return err
	}
	r, issues := decodeRedelivery(body, caller.Mode)
	if issues != nil {
		return api.InvalidBody(issues...)
	}
	r.Endpoint, r.Now = ref, d.Now()
	n, err := api.OnceTx(c, d.Server, caller, body, func(ctx context.Context, tx pgx.Tx) (int64, []wallet.ID, error) {
		n, err := postgres.Redeliver(ctx, tx, r)
		return n, []wallet.ID{ref.ID}, err
	}, func(context.Context, []wallet.ID) (int64, error) { return 0, nil }) // a repetition sends nothing
	if err != nil {
		return err
	}
	return api.WriteJSON(c, http.StatusAccepted, struct {
		Deliveries int64 `json:"deliveries"`
	}{n})
}

func decodeRedelivery(body api.Object, mode wallet.Mode) (postgres.Redelivery, []api.Issue) {
	var (
		r      postgres.Redelivery
		issues []api.Issue
	)
	addIssue := func(field, message string) {
		issues = append(issues, api.Issue{Path: []string{field}, Message: message})
	}
	if _, ok := body["delivery_id"]; ok {
		text, problem := text(body, "delivery_id")
		id, err := wallet.ParseID(wallet.PrefixDelivery, mode, text)
		if problem != "" || err != nil {
			addIssue("delivery_id", "Expected the id of a delivery")
		}
		r.DeliveryID = id
		return r, issues
	}
	for _, f := range []struct {
		name string
		to   *time.Time
	}{{"from", &r.From}, {"to", &r.To}} {
		text, problem := text(body, f.name)
		at, err := time.Parse(time.RFC3339, text)
		switch {
		case problem != "":
			addIssue(f.name, problem)
		case err != nil:
			addIssue(f.name, "Expected a time such as 2026-03-14T09:26:53Z")
		}
		*f.to = at
	}
	if raw, ok := body["failed_only"]; ok && (api.KindOf(raw) != "boolean" || json.Unmarshal(raw, &r.FailedOnly) != nil) {
		addIssue("failed_only", "Expected boolean, received "+api.KindOf(raw))
	}
	return r, issues
}
