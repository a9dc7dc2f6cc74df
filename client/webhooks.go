package client

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// Signature is the dialect of an endpoint's deliveries: the names of events, the
// format of bodies, and the headers.
type Signature string

// The dialects. A Verifier verifies all of them and decodes SignatureStandard.
const (
	SignatureLago     Signature = "lago"
	SignatureLava     Signature = "lava"
	SignatureStandard Signature = "standard"
)

// Webhook is an endpoint that receives events.
type Webhook struct {
	ID        string    `json:"webhook_id"`
	Name      string    `json:"name"`
	URL       string    `json:"url"`
	Signature Signature `json:"signature"`
	// Events are the selected events. Nil means the default selection.
	Events []string `json:"events"`
	// Status is disabled, enabled or held. A held endpoint has failed repeatedly.
	// One delivery at a time is attempted while the others wait.
	Status       string     `json:"status"`
	FailingSince *time.Time `json:"failing_since"`
	LastError    string     `json:"last_error"`
	CreatedAt    time.Time  `json:"created_at"`
	// Secret signs the deliveries. Only CreateWebhook and RotateWebhookSecret
	// return it.
	Secret string `json:"webhook_secret"`
}

// NewWebhook describes an endpoint to be created.
type NewWebhook struct {
	Name string `json:"name"`
	// URL is an https address outside private networks. In test mode it can also be
	// an http address.
	URL string `json:"url"`
	// Signature is the dialect. Empty means SignatureStandard.
	Signature Signature `json:"signature"`
	// Events are the events to receive, by their names in the dialect. Nil means
	// the default selection.
	Events []string `json:"events"`
	// IdempotencyKey identifies this request for 24 hours. Empty means that the
	// client generates one.
	IdempotencyKey string `json:"-"`
}

// CreateWebhook creates an endpoint. The result contains the secret, which is not
// returned again.
func (c *Client) CreateWebhook(ctx context.Context, n NewWebhook) (Webhook, error) {
	n.Signature = or(n.Signature, SignatureStandard)
	key := or(n.IdempotencyKey, NewIdempotencyKey())
	var w Webhook
	_, err := c.send(ctx, call{method: http.MethodPost, path: "/v1/webhooks", body: n, key: key, hold: -1}, &w)
	return w, pending(err, key)
}

// Webhooks returns a page of the endpoints, newest first.
func (c *Client) Webhooks(ctx context.Context, p Page) (List[Webhook], error) {
	var list List[Webhook]
	err := c.get(ctx, "/v1/webhooks", p.query(), &list)
	return list, err
}

// AllWebhooks iterates over the endpoints, newest first. It ends with the first
// error, which it yields.
func (c *Client) AllWebhooks(ctx context.Context) iter.Seq2[Webhook, error] {
	return all(func(p Page) (List[Webhook], error) { return c.Webhooks(ctx, p) })
}

// Webhook returns the current state of an endpoint.
func (c *Client) Webhook(ctx context.Context, id string) (Webhook, error) {
	var w Webhook
	err := c.get(ctx, webhookPath(id), nil, &w)
	return w, err
}

func webhookPath(id string) string { return "/v1/webhooks/" + url.PathEscape(id) }

// WebhookChange describes a change of an endpoint. Fields that are nil stay
// unchanged.
type WebhookChange struct {
	Name      *string    `json:"name,omitempty"`
	URL       *string    `json:"url,omitempty"`
	Signature *Signature `json:"signature,omitempty"`
	Events    []string   `json:"events,omitempty"`
	// Status is disabled or enabled. Enabling a held endpoint releases it.
	Status *string `json:"status,omitempty"`
}

// UpdateWebhook changes an endpoint.
func (c *Client) UpdateWebhook(ctx context.Context, id string, change WebhookChange) (Webhook, error) {
	var w Webhook
	_, err := c.send(ctx, call{method: http.MethodPatch, path: webhookPath(id), body: change, hold: -1}, &w)
	return w, err
}

// DeleteWebhook deletes an endpoint. Nothing more is delivered to it.
func (c *Client) DeleteWebhook(ctx context.Context, id string) error {
	repeated := false
	_, err := c.send(ctx, call{
		method: http.MethodDelete, path: webhookPath(id), hold: -1, repeated: func() { repeated = true },
	}, nil)
	if e, ok := errors.AsType[*Error](err); ok && e.Status == http.StatusNotFound && repeated {
		return nil // the first request deleted it, and its answer was lost
	}
	return err
}

// RotateWebhookSecret replaces an endpoint's secret. During the overlap, deliveries
// are signed with both secrets. An overlap of 0 ends the previous secret
// immediately. The result contains the new secret.
func (c *Client) RotateWebhookSecret(ctx context.Context, id string, overlap time.Duration) (Webhook, error) {
	body := struct {
		Overlap int64 `json:"overlap_seconds"`
	}{int64(overlap / time.Second)}
	key := NewIdempotencyKey()
	var w Webhook
	_, err := c.send(ctx, call{method: http.MethodPost, path: webhookPath(id) + "/rotate_secret", body: body, key: key, hold: -1}, &w)
	return w, pending(err, key)
}

// Delivery is the delivery of an event to an endpoint.
type Delivery struct {
	ID       string `json:"delivery_id"`
	EventID  string `json:"event_id"`
	Event    string `json:"event"`
	Sequence int64  `json:"sequence"`
	// Status is failed, pending or succeeded.
	Status   string `json:"status"`
	Attempts int    `json:"attempts"`
	// ResponseStatus is the status of the last attempt's answer, or 0 without an
	// answer.
	ResponseStatus int        `json:"response_status"`
	Error          string     `json:"error"`
	CreatedAt      time.Time  `json:"created_at"`
	FinishedAt     *time.Time `json:"finished_at"`
}

// Deliveries returns a page of an endpoint's deliveries, newest first. If status is
// not empty, only deliveries with that status are returned: failed, pending or
// succeeded.
func (c *Client) Deliveries(ctx context.Context, webhookID, status string, p Page) (List[Delivery], error) {
	q := p.query()
	if status != "" {
		q.Set("status", status)
	}
	var list List[Delivery]
	err := c.get(ctx, webhookPath(webhookID)+"/deliveries", q, &list)
	return list, err
}

// Redeliver repeats one delivery.
func (c *Client) Redeliver(ctx context.Context, webhookID, deliveryID string) error {
	_, err := c.redeliver(ctx, webhookID, map[string]any{"delivery_id": deliveryID})
	return err
}

// RedeliverRange repeats the deliveries that were created from one time until
// before another, or only the failed ones among them. It returns their number.
func (c *Client) RedeliverRange(ctx context.Context, webhookID string, from, to time.Time, failedOnly bool) (int, error) {
	return c.redeliver(ctx, webhookID, map[string]any{
		"from": from.Format(time.RFC3339Nano), "to": to.Format(time.RFC3339Nano), "failed_only": failedOnly,
	})
}

func (c *Client) redeliver(ctx context.Context, webhookID string, body any) (int, error) {
	key := NewIdempotencyKey()
	var answer struct {
		Deliveries int `json:"deliveries"`
	}
	_, err := c.send(ctx, call{
		method: http.MethodPost, path: webhookPath(webhookID) + "/redeliver", body: body, key: key, hold: -1,
	}, &answer)
	return answer.Deliveries, pending(err, key)
}
