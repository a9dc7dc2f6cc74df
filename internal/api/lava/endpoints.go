package lava

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/fundrail/fundrail/internal/api"
	"github.com/fundrail/fundrail/internal/delivery"
	"github.com/fundrail/fundrail/internal/nullable"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// webhookResource is an endpoint of a merchant. The fields after CreatedAt are
// additions to Lava's dialect, except for WebhookSecret.
type webhookResource struct {
	WebhookID     string   `json:"webhook_id"`
	Name          string   `json:"name"`
	URL           string   `json:"url"`
	CreatedAt     string   `json:"created_at"`
	WebhookSecret string   `json:"webhook_secret,omitempty"` // only in answers that create it
	Signature     string   `json:"signature"`
	Events        []string `json:"events"` // null for the usual ones
	Status        string   `json:"status"`
	FailingSince  *string  `json:"failing_since"`
	LastError     *string  `json:"last_error"`
}

func newWebhookResource(e wallet.Endpoint) webhookResource {
	r := webhookResource{
		WebhookID: wallet.Spell(wallet.PrefixWebhook, e.Mode, e.ID),
		Name:      e.Name,
		URL:       e.URL,
		CreatedAt: api.Timestamp(e.CreatedAt),
		Signature: string(e.Signature),
		Events:    e.Events,
		Status:    string(e.Status),
		LastError: nullable.From(e.LastError),
	}
	if e.FailingSince != nil {
		since := api.Timestamp(*e.FailingSince)
		r.FailingSince = &since
	}
	return r
}

// webhookRequest is the body of a request that creates or changes an endpoint. A
// field is nil when the request does not have it.
type webhookRequest struct {
	name, url, signature *string
	events               *[]string // nil inside: the usual ones
	enabled              *bool
}

// createWebhook answers POST /v1/webhooks. Without a signature the endpoint gets
// deliveries in Lava's dialect.
func (d *Dialect) createWebhook(c echo.Context, caller postgres.Caller) error {
	body, err := api.ReadObject(c)
	if err != nil {
		return err
	}
	req, issues := d.decodeWebhook(body, caller.Mode)
	for _, required := range []struct {
		field string
		given bool
	}{{"url", body["url"] != nil}, {"name", body["name"] != nil}} {
		if !required.given {
			issues = slices.Insert(issues, 0, api.Issue{Path: []string{required.field}, Message: "Missing required field: " + required.field})
		}
	}
	if issues != nil {
		return api.InvalidBody(issues...)
	}
	now := d.Now()
	e := wallet.Endpoint{
		ID: wallet.NewID(), OrganizationID: caller.OrganizationID, Mode: caller.Mode, Name: *req.name, URL: *req.url,
		Signature: wallet.SignatureLava, Status: wallet.EndpointEnabled, CreatedAt: now, UpdatedAt: now,
	}
	sub, issue := req.subscription(e)
	if issue != nil {
		return api.InvalidBody(*issue)
	}
	e.Signature, e.Events = sub.Signature, sub.Events
	ref := postgres.EndpointRef{OrganizationID: caller.OrganizationID, Mode: caller.Mode, ID: e.ID}
	secret := wallet.NewWebhookSecret()
	made, err := api.OnceTx(c, d.Server, caller, body, func(ctx context.Context, tx pgx.Tx) (secretEndpoint, []wallet.ID, error) {
		err := postgres.InsertEndpoint(ctx, tx, e, sub.Types, secret, d.webhookLimit())
		if errors.Is(err, postgres.ErrEndpointLimit) {
			err = errWebhookLimit(d.webhookLimit())
		}
		if err == nil && req.enabled != nil && !*req.enabled {
			_, err = postgres.UpdateEndpoint(ctx, tx, ref, postgres.EndpointChange{Enabled: req.enabled}, now)
		}
		if err != nil {
			return secretEndpoint{}, nil, err
		}
		made, err := readSecretEndpoint(ctx, tx, ref)
		return made, []wallet.ID{e.ID}, err
	}, d.secretEndpoint(caller))
	if err != nil {
		return err
	}
	return made.answer(c, http.StatusCreated)
}

// secretEndpoint is an endpoint with its secret, which is shown when it is made or
// changed. A request that is repeated with its Idempotency-Key gets it again.
type secretEndpoint struct {
	wallet.Endpoint

	secret string
}

func readSecretEndpoint(ctx context.Context, db postgres.DB, ref postgres.EndpointRef) (secretEndpoint, error) {
	e, secret, err := postgres.GetEndpointSecret(ctx, db, ref)
	return secretEndpoint{e, secret}, err
}

// secretEndpoint finds the endpoint of an earlier request with the same key.
func (d *Dialect) secretEndpoint(caller postgres.Caller) func(context.Context, []wallet.ID) (secretEndpoint, error) {
	return func(ctx context.Context, ids []wallet.ID) (secretEndpoint, error) {
		return readSecretEndpoint(ctx, d.LookUps(), postgres.EndpointRef{OrganizationID: caller.OrganizationID, Mode: caller.Mode, ID: ids[0]})
	}
}

func (e secretEndpoint) answer(c echo.Context, status int) error {
	r := newWebhookResource(e.Endpoint)
	r.WebhookSecret = e.secret
	return api.WriteJSON(c, status, r)
}

func (d *Dialect) webhookLimit() int {
	if d.WebhookLimit == 0 {
		return postgres.DefaultEndpointLimit
	}
	return d.WebhookLimit
}

// decodeWebhook reads a request, and returns all its mistakes but those in the names
// of events, which depend on the signature.
func (d *Dialect) decodeWebhook(body api.Object, mode wallet.Mode) (webhookRequest, []api.Issue) {
	var (
		req    webhookRequest
		issues []api.Issue
	)
	text := func(field string, check func(string) string) *string {
		if _, ok := body[field]; !ok {
			return nil
		}
		value, problem := text(body, field)
		if problem == "" {
			problem = check(value)
		}
		if problem != "" {
			issues = append(issues, api.Issue{Path: []string{field}, Message: problem})
		}
		return &value
	}
	req.name = text("name", checkWebhookName)
	req.url = text("url", func(v string) string {
		if err := delivery.CheckURL(v, mode, d.WebhookAllowPrivate); err != nil {
			return capitalized(err.Error())
		}
		return ""
	})
	req.signature = text("signature", func(v string) string {
		if !slices.Contains(wallet.SignatureKinds, wallet.SignatureKind(v)) {
			return "Must be one of lago, lava, standard"
		}
		return ""
	})
	if status := text("status", func(v string) string {
		if v != string(wallet.EndpointDisabled) && v != string(wallet.EndpointEnabled) {
			return "Must be one of disabled, enabled"
		}
		return ""
	}); status != nil {
		req.enabled = new(*status == string(wallet.EndpointEnabled))
	}
	if raw, ok := body["events"]; ok {
		var events []string
		if err := json.Unmarshal(raw, &events); err != nil || slices.Contains(events, "") || events != nil && len(events) == 0 {
			issues = append(issues, api.Issue{Path: []string{"events"}, Message: "Expected null, or names of events"})
		}
		req.events = &events
	}
	return req, issues
}

func checkWebhookName(v string) string {
	const maxLen = 255
	switch {
	case strings.TrimSpace(v) == "":
		return "Must not be empty"
	case len([]rune(v)) > maxLen:
		return "Must be at most " + strconv.Itoa(maxLen) + " characters"
	case strings.ContainsRune(v, 0):
		return "Must not hold a null character"
	default:
		return ""
	}
}

func capitalized(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// subscription returns the events that the endpoint receives after the request.
func (r webhookRequest) subscription(e wallet.Endpoint) (postgres.Subscription, *api.Issue) {
	sub := postgres.Subscription{Signature: e.Signature, Events: e.Events}
	if r.signature != nil {
		sub.Signature = wallet.SignatureKind(*r.signature)
	}
	if r.events != nil {
		sub.Events = *r.events
	}
	var unknown string
	if sub.Types, unknown = sub.Signature.Types(sub.Events); unknown != "" {
		return sub, &api.Issue{
			Path:    []string{"events"},
			Message: fmt.Sprintf("There is no event %q with signature %s", unknown, sub.Signature),
		}
	}
	return sub, nil
}

// listWebhooks answers GET /v1/webhooks, the newest first.
func (d *Dialect) listWebhooks(c echo.Context, caller postgres.Caller) error {
	req, issues := decodePageRequest(c.QueryParams(), wallet.PrefixWebhook, caller.Mode)
	if issues != nil {
		return api.InvalidQuery(issues...)
	}
	list, err := postgres.ListEndpoints(c.Request().Context(), d.LookUps(), caller.OrganizationID, caller.Mode, req.after, req.Limit+1)
	if err != nil {
		return err
	}
	return api.WriteJSON(c, http.StatusOK, newPage(list, req.Limit, newWebhookResource, func(r webhookResource) string { return r.WebhookID }))
}

// webhookRef returns the reference of the endpoint in the path. Another
// organization's endpoint looks like one that does not exist.
func webhookRef(c echo.Context, caller postgres.Caller) (postgres.EndpointRef, error) {
	id, err := wallet.ParseID(wallet.PrefixWebhook, caller.Mode, c.Param("id"))
	if err != nil {
		return postgres.EndpointRef{}, errWebhookNotFound()
	}
	return postgres.EndpointRef{OrganizationID: caller.OrganizationID, Mode: caller.Mode, ID: id}, nil
}

// showWebhook answers GET /v1/webhooks/{id}.
func (d *Dialect) showWebhook(c echo.Context, caller postgres.Caller) error {
	ref, err := webhookRef(c, caller)
	if err != nil {
		return err
	}
	e, err := postgres.GetEndpoint(c.Request().Context(), d.LookUps(), ref)
	if err != nil {
		return err
	}
	return api.WriteJSON(c, http.StatusOK, newWebhookResource(e))
}

// changeWebhook answers PATCH /v1/webhooks/{id}. A field that the request does not
// have stays as it is.
func (d *Dialect) changeWebhook(c echo.Context, caller postgres.Caller) error {
	ref, err := webhookRef(c, caller)
	if err != nil {
		return err
	}
	body, err := api.ReadObject(c)
	if err != nil {
		return err
	}
	req, issues := d.decodeWebhook(body, caller.Mode)
	if issues != nil {
		return api.InvalidBody(issues...)
	}
	e, err := api.OnceTx(c, d.Server, caller, body, func(ctx context.Context, tx pgx.Tx) (wallet.Endpoint, []wallet.ID, error) {
		change := postgres.EndpointChange{Name: req.name, URL: req.url, Enabled: req.enabled}
		if req.signature != nil || req.events != nil {
			change.Subscribe = func(before wallet.Endpoint) (postgres.Subscription, error) {
				sub, issue := req.subscription(before)
				if issue != nil {
					return sub, api.InvalidBody(*issue)
				}
				return sub, nil
			}
		}
		after, err := postgres.UpdateEndpoint(ctx, tx, ref, change, d.Now())
		return after, []wallet.ID{ref.ID}, err
	}, func(ctx context.Context, _ []wallet.ID) (wallet.Endpoint, error) {
		return postgres.GetEndpoint(ctx, d.LookUps(), ref)
	})
	if err != nil {
		return err
	}
	return api.WriteJSON(c, http.StatusOK, newWebhookResource(e))
}

// deleteWebhook answers DELETE /v1/webhooks/{id}.
func (d *Dialect) deleteWebhook(c echo.Context, caller postgres.Caller) error {
	ref, err := webhookRef(c, caller)
	if err != nil {
		return err
	}
	_, err = api.OnceTx(c, d.Server, caller, nil, func(ctx context.Context, tx pgx.Tx) (wallet.ID, []wallet.ID, error) {
		return ref.ID, []wallet.ID{ref.ID}, postgres.DeleteEndpoint(ctx, tx, ref, d.Now())
	}, func(context.Context, []wallet.ID) (wallet.ID, error) { return ref.ID, nil })
	if err != nil {
		return err
	}
	return api.WriteJSON(c, http.StatusOK, struct {
		ID      string `json:"id"`
		Deleted bool   `json:"deleted"`
	}{wallet.Spell(wallet.PrefixWebhook, caller.Mode, ref.ID), true})
}

// defaultOverlap is how long deliveries are signed with the old secret too after a
// rotation.
const defaultOverlap = 24 * time.Hour

// rotateWebhookSecret answers POST /v1/webhooks/{id}/rotate_secret with the new
// secret. overlap_seconds says how long deliveries are signed with the old one too.
func (d *Dialect) rotateWebhookSecret(c echo.Context, caller postgres.Caller) error {
	ref, err := webhookRef(c, caller)
	if err != nil {
		return err
	}
	body, err := api.ReadOptionalObject(c)
	if err != nil {
		return err
	}
	overlap := int64(defaultOverlap / time.Second)
	if raw, ok := body["overlap_seconds"]; ok {
		const longest = 30 * 24 * 60 * 60
		if err := json.Unmarshal(raw, &overlap); err != nil || overlap < 0 || overlap > longest {
			return api.InvalidBody(api.Issue{Path: []string{"overlap_seconds"}, Message: "Expected integer from 0 to " + strconv.Itoa(longest)})
		}
	}
	secret := wallet.NewWebhookSecret()
	rotated, err := api.OnceTx(c, d.Server, caller, body, func(ctx context.Context, tx pgx.Tx) (secretEndpoint, []wallet.ID, error) {
		if err := postgres.RotateSecret(ctx, tx, ref, secret, d.Now(), time.Duration(overlap)*time.Second); err != nil {
			return secretEndpoint{}, nil, err
		}
		e, err := readSecretEndpoint(ctx, tx, ref)
		return e, []wallet.ID{ref.ID}, err
	}, d.secretEndpoint(caller))
	if err != nil {
		return err
	}
	return rotated.answer(c, http.StatusOK)
}
