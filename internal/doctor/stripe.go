package doctor

import (
	"context"
	"fmt"
	"iter"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fundrail/fundrail/internal/config"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/jobs"
	"github.com/fundrail/fundrail/webhooks"
)

// answered is the time of Stripe's answer, by its clock and by this machine's.
type answered struct{ date, began, ended time.Time }

// stripe checks the key of a mode and the arrival of Stripe's events.
func (e *examination) stripe(ctx context.Context, mode wallet.Mode, pool *pgxpool.Pool) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	var last answered
	client, err := stripeapi.New(stripeapi.Config{
		Mode: mode, Now: e.Now, SecretKey: string(e.Settings.SecretKey(mode)), URL: e.Settings.StripeAPIURL,
		OnCall: func(c stripeapi.Call) {
			now := e.Now()
			last = answered{date: c.Date, began: now.Add(-c.Took), ended: now}
		},
	})
	if err != nil {
		e.mend("stripe key", mode, err.Error(), "Correct "+variable(mode, "SECRET_KEY")+".")
		return
	}
	if !e.mayRead(ctx, mode, client) {
		return
	}
	if !last.date.IsZero() { // in whole seconds
		e.clock("clock of Stripe", mode, last.date, last.began.Add(-time.Second), last.ended)
	}
	e.webhookSecrets(mode)
	e.endpoint(ctx, mode, client)
	if pool != nil {
		e.arrivals(ctx, mode, pool)
	}
}

// variable returns the name of a mode's setting.
func variable(mode wallet.Mode, name string) string {
	return "STRIPE_" + strings.ToUpper(string(mode)) + "_" + name
}

// mayRead reads one object of each kind that Fundrail reads, because a restricted key may
// not allow it.
func (e *examination) mayRead(ctx context.Context, mode wallet.Mode, client *stripeapi.Client) bool {
	const check = "stripe key"
	lately := stripeapi.Window{Since: e.Now().Add(-time.Minute)}
	for _, what := range []struct {
		name string
		ask  func() error
	}{
		{"Events", func() error { return first(client.ListEvents(ctx, stripeapi.EventQuery{Since: lately.Since})) }},
		{"PaymentIntents", func() error { return first(client.ListIntents(ctx, lately)) }},
		{"Refunds", func() error { return first(client.ListRefunds(ctx, lately)) }},
		{"Disputes", func() error { return first(client.ListDisputes(ctx, lately)) }},
	} {
		err := what.ask()
		if err == nil {
			continue
		}
		mend := "See whether this machine reaches " + apiAddress(e.Settings.Stripe) + ", and whether Stripe is up."
		switch stripeapi.StatusOf(err) {
		case http.StatusUnauthorized:
			mend = "Put a valid key of " + string(mode) + " mode into " + variable(mode, "SECRET_KEY") + "."
		case http.StatusForbidden:
			mend = "Allow the restricted key in " + variable(mode, "SECRET_KEY") + " to read " + what.name + "."
		}
		e.mend(check, mode, err.Error(), mend)
		return false
	}
	e.ok(check, mode, "accepted by "+apiAddress(e.Settings.Stripe))
	return true
}

// first returns the error at the beginning of a list, if there is one.
func first[T any](list iter.Seq2[T, error]) error {
	for _, err := range list {
		return err
	}
	return nil
}

func apiAddress(s config.Stripe) string {
	if s.StripeAPIURL != "" {
		return s.StripeAPIURL
	}
	return "https://api.stripe.com"
}

func (e *examination) webhookSecrets(mode wallet.Mode) {
	if len(e.Settings.WebhookSecrets(mode)) == 0 {
		e.mend("webhook secret", mode, variable(mode, "WEBHOOK_SECRETS")+" is empty, so that every event is refused",
			"Put the signing secret of Stripe's endpoint there.")
		return
	}
	e.ok("webhook secret", mode, "set")
}

// endpoint looks for the webhook endpoint that sends events to this installation. It
// creates a missing one on request.
func (e *examination) endpoint(ctx context.Context, mode wallet.Mode, client *stripeapi.Client) {
	const check = "webhook endpoint"
	address := e.Settings.PublicAddress(nil) + webhooks.Path
	list, err := client.ListWebhookEndpoints(ctx)
	if err != nil {
		e.note(check, mode, err.Error(), "Allow the key to read webhook endpoints, or compare them by hand: "+address)
		return
	}
	i := slices.IndexFunc(list, func(w stripeapi.WebhookEndpoint) bool { return w.URL == address })
	switch {
	case i >= 0:
		e.judgeEndpoint(mode, list[i])
	case e.Settings.StripeAPIURL == "" && private(address):
		e.note(check, mode, "Stripe cannot reach "+address,
			"Set PUBLIC_URL to an address on the internet, or use: stripe listen --forward-to "+address)
	case e.CreateWebhook:
		e.createEndpoint(ctx, mode, client, address)
	default:
		e.mend(check, mode, "no endpoint at Stripe sends events to "+address,
			"Run fundrail doctor --create-webhook, or correct PUBLIC_URL.")
	}
}

func private(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && (ip.IsLoopback() || ip.IsPrivate() || ip.IsUnspecified())
}

func (e *examination) judgeEndpoint(mode wallet.Mode, w stripeapi.WebhookEndpoint) {
	const check = "webhook endpoint"
	var missing []string
	for _, name := range jobs.EventTypes() {
		if !slices.Contains(w.Events, name) && !slices.Contains(w.Events, "*") {
			missing = append(missing, name)
		}
	}
	switch {
	case !w.Enabled:
		e.mend(check, mode, w.ID+" is disabled", "Enable it in Stripe's dashboard.")
	case len(missing) > 0:
		e.mend(check, mode, w.ID+" does not send "+strings.Join(missing, ", "),
			"Add these events to it in Stripe's dashboard, or delete it there and run fundrail doctor --create-webhook.")
	case w.APIVersion != "" && w.APIVersion != stripeapi.APIVersion:
		e.note(check, mode, w.ID+" sends events of API version "+w.APIVersion,
			"Nothing depends on it; an endpoint made by fundrail doctor --create-webhook has "+stripeapi.APIVersion+".")
	default:
		e.ok(check, mode, w.ID+" sends everything to "+w.URL)
	}
}

func (e *examination) createEndpoint(ctx context.Context, mode wallet.Mode, client *stripeapi.Client, address string) {
	const check = "webhook endpoint"
	w, err := client.CreateWebhookEndpoint(ctx, address, jobs.EventTypes())
	if err != nil {
		e.mend(check, mode, "not created: "+err.Error(), "Allow the key to write webhook endpoints, or create it in Stripe's dashboard: "+address)
		return
	}
	e.findings = append(e.findings, Finding{
		Check: check, Mode: mode, Status: Mend, Detail: w.ID + " was created and sends everything to " + w.URL,
		Mend:          "Put its signing secret, which is shown only now, into " + variable(mode, "WEBHOOK_SECRETS") + " and restart.",
		WebhookSecret: w.Secret,
	})
}

// arrivals checks how the newest events came. An event that a sweep found has not come by
// webhook.
func (e *examination) arrivals(ctx context.Context, mode wallet.Mode, pool *pgxpool.Pool) {
	const check, newest = "webhook arrivals", 1000
	brought, swept, err := postgres.CountArrivals(ctx, pool, mode, e.Now().Add(-24*time.Hour), newest)
	switch total := brought + swept; {
	case err != nil:
		e.mend(check, mode, err.Error(), "Look at the database's log.")
	case total == 0:
		e.note(check, mode, "no event has come within a day", "Make a payment in test mode and look again.")
	case brought == 0:
		e.mend(check, mode, fmt.Sprintf("all of the newest %d events were found by sweeps", total),
			"See in Stripe's dashboard what its attempts were answered; 400 means another secret than in "+variable(mode, "WEBHOOK_SECRETS")+".")
	case swept > brought/10:
		e.note(check, mode, fmt.Sprintf("%d of the newest %d events were found by sweeps", swept, total), "See in Stripe's dashboard why its attempts fail.")
	default:
		e.ok(check, mode, fmt.Sprintf("%d of the newest %d events came by webhook", brought, total))
	}
}
