package client

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// Signature is the dialect that an endpoint is spoken to in: the names of events,
// the shape of bodies, and headers.
type Signature string

// The dialects. Verifier verifies all of them, and decodes SignatureStandard.
const (
	SignatureLago     Signature = "lago"
	SignatureLava     Signature = "lava"
	SignatureStandard Signature = "standard"
)

// Webhook is an endpoint that is told what happens.
type Webhook struct {
	ID        string    `json:"webhook_id"`
	Name      string    `json:"name"`
	URL       string    `json:"url"`
	Signature Signature `json:"signature"`
	// Events are those that were asked for, nil for the usual ones.
	Events []string `json:"events"`
	// Status is disabled, enabled or held. A held endpoint keeps failing: one delivery
	// at a time tries, and the others wait.
	Status       string     `json:"status"`
	FailingSince *time.Time `json:"failing_since"`
	LastError    string     `json:"last_error"`
	CreatedAt    time.Time  `json:"created_at"`
	// Secret is what deliveries are signed with. Only CreateWebhook and
	// RotateWebhookSecret return it.
	Secret string `json:"webhook_secret"`
}

// NewWebhook describes an endpoint to be added.
type NewWebhook struct {
	Name string `json:"name"`
	// URL is an https address, and in test mode an http one as well, that is not in a
	// private network.
	URL string `json:"url"`
	// Signature is SignatureStandard unless given.
	Signature Signature `json:"signature"`
	// Events are the events to be told of by their names in the dialect, nil for the
	// usual ones.
	Events []string `json:"events"`
	// IdempotencyKey stands for this request for 24 hours. It is made by the client
	// unless given.
	IdempotencyKey string `json:"-"`
}

// CreateWebhook adds an endpoint. The result has its secret, which is not shown
// again.
func (c *Client) CreateWebhook(ctx context.Context, n NewWebhook) (Webhook, error) {
	n.Signature = or(n.Signature, SignatureStandard)
	key := or(n.IdempotencyKey, NewIdempotencyKey())
	var w Webhook
	_, err := c.send(ctx, call{method: http.MethodPost, path: "/v1/webhooks", body: n, key: key, hold: -1}, &w)
	return w, pending(err, key)
}

// Webhooks is a page of the endpoints, the newest first.
func (c *Client) Webhooks(ctx context.Context, p Page) (List[Webhook], error) {
	var list List[Webhook]
	err := c.get(ctx, "/v1/webhooks", p.query(), &list)
	return list, err
}

// AllWebhooks goes through the endpoints, the newest first.
func (c *Client) AllWebhooks(ctx context.Context) iter.Seq2[Webhook, error] {
	return all(func(p Page) (List[Webhook], error) { return c.Webhooks(ctx, p) })
}

// Webhook is an endpoint as it stands.
func (c *Client) Webhook(ctx context.Context, id string) (Webhook, error) {
	var w Webhook
	err := c.get(ctx, webhookPath(id), nil, &w)
	return w, err
}

func webhookPath(id string) string { return "/v1/webhooks/" + url.PathEscape(id) }

// WebhookChange says what is to change. What is nil stays.
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

// DeleteWebhook removes an endpoint. Nothing more is delivered to it.
func (c *Client) DeleteWebhook(ctx context.Context, id string) error {
	repeated := false
	_, err := c.send(ctx, call{
		method: http.MethodDelete, path: webhookPath(id), hold: -1, repeated: func() { repeated = true },
	}, nil)
	if e, ok := errors.AsType[*Error](err); ok && e.Status == http.StatusNotFound && repeated {
		return nil // the first request removed it, and its answer got lost
	}
	return err
}

// RotateWebhookSecret replaces an endpoint's secret. For the time of the overlap
// deliveries are signed with both; 0 ends the one before at once. The result has
// the new secret.
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
	// ResponseStatus is what the last attempt was answered with, 0 for nothing.
	ResponseStatus int        `json:"response_status"`
	Error          string     `json:"error"`
	CreatedAt      time.Time  `json:"created_at"`
	FinishedAt     *time.Time `json:"finished_at"`
}

// Deliveries is a page of what was delivered to an endpoint, the newest first. The
// status, failed, pending or succeeded, chooses among them; the empty one does not.
func (c *Client) Deliveries(ctx context.Context, webhookID, status string, p Page) (List[Delivery], error) {
	q := p.query()
	if status != "" {
		q.Set("status", status)
	}
	var list List[Delivery]
	err := c.get(ctx, webhookPath(webhookID)+"/deliveries", q, &list)
	return list, err
}

// Redeliver has one delivery go out again.
func (c *Client) Redeliver(ctx context.Context, webhookID, deliveryID string) error {
	_, err := c.redeliver(ctx, webhookID, map[string]any{"delivery_id": deliveryID})
	return err
}

// RedeliverRange has the deliveries go out again that were made from one time to
// before another, or only those among them that failed. It returns how many.
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
