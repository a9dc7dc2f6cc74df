package stripesim

import (
	"net/url"
	"slices"
)

const endpointParams = commonParams + `
description str
enabled_events list
metadata hash
url str
`

const endpointCreateParams = commonParams + `
api_version str
connect bool
description str
enabled_events! list
metadata hash
url! str
`

const endpointUpdateParams = endpointParams + "disabled bool\n"

// setConfigured replaces the endpoint of the configuration.
func (a *account) setConfigured(url string, secrets, events []string) {
	if len(events) == 0 {
		events = []string{"*"}
	}
	a.read(func() {
		a.configured.Store(nil)
		if url != "" {
			a.configured.Store(&WebhookEndpoint{
				ID: configuredID, EnabledEvents: events, Livemode: a.live, Secrets: secrets, URL: url,
			})
		}
		a.retarget()
	})
}

// retarget updates the list of endpoints that receive events. a.mu must be held.
func (a *account) retarget() {
	var targets []*WebhookEndpoint
	if ep := a.configured.Load(); ep != nil {
		targets = append(targets, ep)
	}
	for _, c := range a.endpoints.order {
		if ep := c.cur.Load(); !ep.Deleted && !ep.Disabled {
			targets = append(targets, ep)
		}
	}
	a.targets.Store(&targets)
}

// targetsOf returns the endpoints that receive events of a type.
func (a *account) targetsOf(typ string) []*WebhookEndpoint {
	all := a.targets.Load()
	if all == nil {
		return nil
	}
	for i, ep := range *all {
		if ep.wants(typ) {
			continue
		}
		// Usually every endpoint wants the event and this loop finds none to
		// remove. Then no copy is made.
		out := slices.Clone((*all)[:i])
		for _, ep := range (*all)[i+1:] {
			if ep.wants(typ) {
				out = append(out, ep)
			}
		}
		return out
	}
	return *all
}

// current returns the current version of an endpoint, or nil if it no longer
// receives deliveries.
func (a *account) current(ep *WebhookEndpoint) *WebhookEndpoint {
	all := a.targets.Load()
	if all == nil {
		return nil
	}
	for _, t := range *all {
		if t.ID == ep.ID {
			return t
		}
	}
	return nil
}

func (ep *WebhookEndpoint) wants(typ string) bool {
	return slices.ContainsFunc(ep.EnabledEvents, func(p string) bool { return typeMatches(p, typ) })
}

// withSecret renders an endpoint with its secret, for the answer to its creation.
type withSecret struct{ *WebhookEndpoint }

func (e withSecret) appendJSON(b []byte, _ *expander) []byte {
	return e.append(b, e.Secrets[0])
}

func (ep *WebhookEndpoint) appendJSON(b []byte, _ *expander) []byte { return ep.append(b, "") }

func (ep *WebhookEndpoint) append(b []byte, secret string) []byte {
	w := enc{b: b}
	w.begin("id", ep.ID)
	w.str("object", "webhook_endpoint")
	if ep.Deleted {
		w.bool("deleted", true)
		w.end()
		return w.b
	}
	w.opt("api_version", ep.APIVersion)
	w.null("application")
	w.int("created", ep.Created)
	w.opt("description", ep.Description)
	w.strs("enabled_events", ep.EnabledEvents)
	w.bool("livemode", ep.Livemode)
	w.metadata(ep.Metadata)
	if secret != "" {
		w.str("secret", secret)
	}
	status := "enabled"
	if ep.Disabled {
		status = "disabled"
	}
	w.str("status", status)
	w.str("url", ep.URL)
	w.end()
	return w.b
}

func (c *call) createEndpoint() (renderer, *apiError) {
	meta, err := metadataParam(&c.form)
	if err != nil {
		return nil, err
	}
	ep := &WebhookEndpoint{
		ID:            c.s.ids.new("we_1"),
		APIVersion:    c.form.str("api_version"),
		Description:   c.form.str("description"),
		EnabledEvents: c.form.list("enabled_events"),
		Livemode:      c.acct.live,
		Metadata:      Metadata(nil).merge(meta),
		Secrets:       []string{c.s.ids.secret("whsec_", 32)},
		URL:           c.form.str("url"),
	}
	if err := checkURL(ep.URL, "url"); err != nil {
		return nil, err
	}
	c.acct.change(func(t *tx) {
		ep.Created = t.sec
		t.putEndpoint(ep)
	})
	return withSecret{ep}, nil
}

func checkURL(s, param string) *apiError {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return refused("url_invalid", param, "Invalid URL: An explicit scheme (such as https) must be provided.")
	}
	return nil
}

func (c *call) findEndpoint() (*WebhookEndpoint, *apiError) {
	var ep *WebhookEndpoint
	c.acct.read(func() { ep = c.acct.endpoints.get(c.path) })
	if ep == nil || ep.Deleted {
		return nil, notFound("webhook endpoint", c.path, "webhook_endpoint")
	}
	return ep, nil
}

func (c *call) getEndpoint() (renderer, *apiError) {
	ep, err := c.findEndpoint()
	if err != nil {
		return nil, err
	}
	return ep, nil
}

func (c *call) listEndpoints() (renderer, *apiError) {
	return listOf(c, &c.acct.endpoints, "webhook endpoint", "",
		func(ep *WebhookEndpoint) bool { return !ep.Deleted },
		func(ep *WebhookEndpoint) int64 { return ep.Created })
}

func (c *call) updateEndpoint() (renderer, *apiError) {
	meta, err := metadataParam(&c.form)
	if err != nil {
		return nil, err
	}
	if c.form.has("url") {
		if err := checkURL(c.form.str("url"), "url"); err != nil {
			return nil, err
		}
	}
	return c.changeEndpoint(func(ep *WebhookEndpoint) {
		if v := c.form.list("enabled_events"); v != nil {
			ep.EnabledEvents = v
		}
		if v := c.form.str("url"); v != "" {
			ep.URL = v
		}
		if c.form.has("description") {
			ep.Description = c.form.str("description")
		}
		if c.form.has("disabled") {
			ep.Disabled = c.form.bool("disabled")
		}
		ep.Metadata = ep.Metadata.merge(meta)
	})
}

func (c *call) deleteEndpoint() (renderer, *apiError) {
	return c.changeEndpoint(func(ep *WebhookEndpoint) { ep.Deleted = true })
}

func (c *call) changeEndpoint(change func(*WebhookEndpoint)) (renderer, *apiError) {
	old, err := c.findEndpoint()
	if err != nil {
		return nil, err
	}
	ep := *old
	change(&ep)
	c.acct.change(func(t *tx) { t.putEndpoint(&ep) })
	return &ep, nil
}
