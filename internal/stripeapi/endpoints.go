package stripeapi

import (
	"context"
	"net/http"

	"github.com/stripe/stripe-go/v76"
)

const endpointsPath = "/v1/webhook_endpoints"

// WebhookEndpoint is an address that Stripe sends events to.
type WebhookEndpoint struct {
	ID  string
	URL string
	// Secret signs the events. Stripe returns it only when the endpoint is created.
	// It must not be logged.
	Secret string
	// APIVersion is the version that events are written in. Empty means the
	// account's default.
	APIVersion string
	// Events are the types that are sent. A single "*" stands for nearly all.
	Events  []string
	Enabled bool
}

type webhookEndpoint struct {
	stripe.APIResource

	ID            string   `json:"id"`
	APIVersion    string   `json:"api_version"`
	EnabledEvents []string `json:"enabled_events"`
	Secret        string   `json:"secret"`
	Status        string   `json:"status"`
	URL           string   `json:"url"`
}

func (e *webhookEndpoint) id() string     { return e.ID }
func (e *webhookEndpoint) complete() bool { return validID(e.ID) }

func (e *webhookEndpoint) domain() WebhookEndpoint {
	return WebhookEndpoint{
		ID:         e.ID,
		URL:        e.URL,
		Secret:     e.Secret,
		APIVersion: e.APIVersion,
		Events:     e.EnabledEvents,
		Enabled:    e.Status == "enabled",
	}
}

// ListWebhookEndpoints returns all webhook endpoints of the account in the client's
// mode.
func (c *Client) ListWebhookEndpoints(ctx context.Context) ([]WebhookEndpoint, error) {
	list := each[webhookEndpoint](ctx, c, "list_webhook_endpoints", endpointsPath,
		&stripe.WebhookEndpointListParams{ListParams: listParams()})
	return collect(convert(list, (*webhookEndpoint).domain))
}

// CreateWebhookEndpoint registers an address for events of the given types. The
// events are written in APIVersion.
func (c *Client) CreateWebhookEndpoint(ctx context.Context, address string, events []string) (WebhookEndpoint, error) {
	const op = "create_webhook_endpoint"
	if !isPage(address) || len(events) == 0 {
		return WebhookEndpoint{}, invalid(op, "no address or no events")
	}
	endpoint := new(webhookEndpoint)
	err := c.call(ctx, request{op: op, method: http.MethodPost, path: endpointsPath, params: &stripe.WebhookEndpointParams{
		APIVersion:    new(APIVersion),
		EnabledEvents: stripe.StringSlice(events),
		URL:           &address,
	}}, endpoint)
	if err != nil {
		return WebhookEndpoint{}, err
	}
	return endpoint.domain(), nil
}
