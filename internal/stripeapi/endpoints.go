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
	// Secret signs what is sent. Stripe tells it once, when the endpoint is
	// created, and it belongs in no log.
	Secret string
	// APIVersion is the version that events are written in, empty for the
	// account's default.
	APIVersion string
	// Events are the types that are sent. One of "*" stands for nearly all.
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

// ListWebhookEndpoints lists all webhook endpoints of the account in this mode.
func (c *Client) ListWebhookEndpoints(ctx context.Context) ([]WebhookEndpoint, error) {
	list := each[webhookEndpoint](ctx, c, "list_webhook_endpoints", endpointsPath,
		&stripe.WebhookEndpointListParams{ListParams: listParams()})
	return collect(convert(list, (*webhookEndpoint).domain))
}

// CreateWebhookEndpoint has Stripe send events of the given types to an address,
// written in the version of the API that this package speaks.
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
