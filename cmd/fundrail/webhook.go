package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fundrail/fundrail/internal/config"
	"github.com/fundrail/fundrail/internal/delivery"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

type webhookCmd struct {
	Create     webhookCreateCmd     `cmd:"" help:"Create a webhook endpoint. Its secret is shown once."`
	List       webhookListCmd       `cmd:"" help:"List an organization's webhook endpoints."`
	Rotate     webhookRotateCmd     `cmd:"" help:"Replace an endpoint's secret. The old one signs too for a while."`
	Disable    webhookDisableCmd    `cmd:"" help:"Stop deliveries to an endpoint."`
	Enable     webhookEnableCmd     `cmd:"" help:"Resume deliveries to an endpoint at once."`
	Deliveries webhookDeliveriesCmd `cmd:"" help:"List the deliveries to an endpoint, newest first."`
	Redeliver  webhookRedeliverCmd  `cmd:"" help:"Repeat one delivery, or all of a period."`
}

type webhookCreateCmd struct {
	config.Database
	config.Webhooks

	Organization wallet.ID            `required:"" placeholder:"ID" help:"The endpoint's organization."`
	Mode         wallet.Mode          `enum:"test,live" default:"test" help:"test or live."`
	Name         string               `default:"Default" help:"The endpoint's name."`
	URL          string               `required:"" help:"The endpoint's address."`
	Signature    wallet.SignatureKind `enum:"standard,lava,lago" default:"standard" help:"Format and signature of deliveries: standard, lava or lago."`
	Events       []string             `placeholder:"NAME,…" help:"Only these events, by the names of the signature's dialect."`
	JSON         bool                 `help:"Print one JSON object."`
}

// Run creates an endpoint.
func (c *webhookCreateCmd) Run(ctx context.Context, a *app) error {
	if err := delivery.CheckURL(c.URL, c.Mode, c.WebhookAllowPrivate); err != nil {
		return fmt.Errorf("--url %w", err)
	}
	types, unknown := c.Signature.Types(c.Events)
	if unknown != "" {
		return fmt.Errorf("--events: there is no event %q with signature %s", unknown, c.Signature)
	}
	e := wallet.Endpoint{
		ID: wallet.NewID(), OrganizationID: c.Organization, Mode: c.Mode, Name: c.Name, URL: c.URL,
		Signature: c.Signature, Events: c.Events, CreatedAt: a.Now(),
	}
	secret := wallet.NewWebhookSecret()
	err := withTx(ctx, c.Database, func(tx pgx.Tx) error {
		if _, err := postgres.GetOrganization(ctx, tx, c.Organization); err != nil {
			return err
		}
		return postgres.InsertEndpoint(ctx, tx, e, types, secret, c.WebhookEndpointLimit)
	})
	if err != nil {
		return err
	}
	return a.printSecret(c.JSON, e.ID, secret)
}

// printSecret prints an endpoint's new secret, which is not shown again.
func (a *app) printSecret(asJSON bool, id wallet.ID, secret string) error {
	if asJSON {
		return a.printJSON(struct {
			WebhookID     wallet.ID `json:"webhook_id"`
			WebhookSecret string    `json:"webhook_secret"`
		}{id, secret})
	}
	a.printf("webhook %s\nsecret  %s\n\nThe secret is not shown again.\n", id, secret)
	return nil
}

type webhookListCmd struct {
	config.Database

	Organization wallet.ID   `required:"" placeholder:"ID" help:"The endpoints' organization."`
	Mode         wallet.Mode `enum:"test,live" default:"test" help:"test or live."`
	JSON         bool        `help:"Print one JSON object."`
}

type webhookLine struct {
	WebhookID    wallet.ID             `json:"webhook_id"`
	Name         string                `json:"name"`
	URL          string                `json:"url"`
	Signature    wallet.SignatureKind  `json:"signature"`
	Events       []string              `json:"events"`
	Status       wallet.EndpointStatus `json:"status"`
	FailingSince *time.Time            `json:"failing_since"`
	LastError    string                `json:"last_error,omitempty"`
	CreatedAt    time.Time             `json:"created_at"`
}

// Run lists endpoints, the newest first.
func (c *webhookListCmd) Run(ctx context.Context, a *app) error {
	return withPool(ctx, c.Database, func(pool *pgxpool.Pool) error {
		const most = 1000
		list, err := postgres.ListEndpoints(ctx, pool, c.Organization, c.Mode, wallet.ID{}, most)
		if err != nil {
			return err
		}
		lines := make([]webhookLine, len(list))
		rows := [][]string{{"WEBHOOK", "NAME", "SIGNATURE", "STATUS", "FAILING SINCE", "URL"}}
		for i, e := range list {
			lines[i] = webhookLine{e.ID, e.Name, e.URL, e.Signature, e.Events, e.Status, e.FailingSince, e.LastError, e.CreatedAt}
			rows = append(rows, []string{
				e.ID.String(), e.Name, string(e.Signature), string(e.Status), formatTime(e.FailingSince), e.URL,
			})
		}
		if c.JSON {
			return a.printJSON(struct {
				Webhooks []webhookLine `json:"webhooks"`
			}{lines})
		}
		return a.printTable(rows)
	})
}

type webhookRotateCmd struct {
	config.Database

	Webhook wallet.ID     `arg:"" help:"The endpoint's id."`
	Overlap time.Duration `default:"24h" help:"How long the old secret signs too."`
	JSON    bool          `help:"Print one JSON object."`
}

// Run gives an endpoint a new secret.
func (c *webhookRotateCmd) Run(ctx context.Context, a *app) error {
	if c.Overlap < 0 {
		return errors.New("--overlap must not be below zero")
	}
	secret := wallet.NewWebhookSecret()
	err := withPool(ctx, c.Database, func(pool *pgxpool.Pool) error {
		ref, err := postgres.FindEndpointRef(ctx, pool, c.Webhook)
		if err != nil {
			return err
		}
		return postgres.RotateSecret(ctx, pool, ref, secret, a.Now(), c.Overlap)
	})
	if err != nil {
		return err
	}
	return a.printSecret(c.JSON, c.Webhook, secret)
}

// webhookSwitch are the flags of the commands that switch an endpoint on and off.
type webhookSwitch struct {
	config.Database

	Webhook wallet.ID `arg:"" help:"The endpoint's id."`
	JSON    bool      `help:"Print one JSON object."`
}

type (
	webhookDisableCmd struct{ webhookSwitch }
	webhookEnableCmd  struct{ webhookSwitch }
)

// Run switches an endpoint off.
func (c *webhookDisableCmd) Run(ctx context.Context, a *app) error { return c.turn(ctx, a, false) }

// Run switches an endpoint on. Its pending deliveries are attempted at once.
func (c *webhookEnableCmd) Run(ctx context.Context, a *app) error { return c.turn(ctx, a, true) }

func (c *webhookSwitch) turn(ctx context.Context, a *app, on bool) error {
	return withTx(ctx, c.Database, func(tx pgx.Tx) error {
		ref, err := postgres.FindEndpointRef(ctx, tx, c.Webhook)
		if err != nil {
			return err
		}
		e, err := postgres.UpdateEndpoint(ctx, tx, ref, postgres.EndpointChange{Enabled: &on}, a.Now())
		if err != nil {
			return err
		}
		if c.JSON {
			return a.printJSON(struct {
				WebhookID wallet.ID             `json:"webhook_id"`
				Status    wallet.EndpointStatus `json:"status"`
			}{e.ID, e.Status})
		}
		a.printf("webhook %s is %s\n", e.ID, e.Status)
		return nil
	})
}

type webhookDeliveriesCmd struct {
	config.Database

	Webhook wallet.ID             `arg:"" help:"The endpoint's id."`
	Status  wallet.DeliveryStatus `enum:"failed,pending,succeeded," default:"" help:"Only deliveries that are failed, pending or succeeded."`
	Limit   int                   `default:"50" help:"Maximum number."`
	JSON    bool                  `help:"Print one JSON object."`
}

type deliveryLine struct {
	DeliveryID     wallet.ID             `json:"delivery_id"`
	EventID        wallet.ID             `json:"event_id"`
	Type           wallet.DeliveryType   `json:"type"`
	ObjectID       wallet.ID             `json:"object_id"`
	Sequence       int64                 `json:"sequence"`
	Status         wallet.DeliveryStatus `json:"status"`
	Attempts       int                   `json:"attempts"`
	ResponseStatus int                   `json:"response_status,omitempty"`
	Error          string                `json:"error,omitempty"`
	CreatedAt      time.Time             `json:"created_at"`
	FinishedAt     *time.Time            `json:"finished_at"`
}

// Run lists deliveries.
func (c *webhookDeliveriesCmd) Run(ctx context.Context, a *app) error {
	return withPool(ctx, c.Database, func(pool *pgxpool.Pool) error {
		if _, err := postgres.FindEndpointRef(ctx, pool, c.Webhook); err != nil {
			return err
		}
		list, err := postgres.ListDeliveries(ctx, pool, c.Webhook, c.Status, wallet.ID{}, c.Limit)
		if err != nil {
			return err
		}
		lines := make([]deliveryLine, len(list))
		rows := [][]string{{"DELIVERY", "EVENT", "SEQUENCE", "STATUS", "ATTEMPTS", "CREATED", "LAST"}}
		for i, d := range list {
			lines[i] = deliveryLine{
				d.ID, d.EventID, d.Type, d.ObjectID, d.Sequence, d.Status, d.Attempts, d.ResponseStatus, d.Error,
				d.CreatedAt, d.FinishedAt,
			}
			rows = append(rows, []string{
				d.ID.String(), string(d.Type), strconv.FormatInt(d.Sequence, 10), string(d.Status), strconv.Itoa(d.Attempts),
				formatTime(&d.CreatedAt), d.Error,
			})
		}
		if c.JSON {
			return a.printJSON(struct {
				Deliveries []deliveryLine `json:"deliveries"`
			}{lines})
		}
		return a.printTable(rows)
	})
}

type webhookRedeliverCmd struct {
	config.Database

	Webhook    wallet.ID `arg:"" help:"The endpoint's id."`
	Delivery   wallet.ID `placeholder:"ID" xor:"what" help:"One delivery."`
	From       time.Time `placeholder:"TIME" xor:"what" help:"All events from this time on, such as 2026-03-14T09:00:00Z."`
	To         time.Time `placeholder:"TIME" help:"End of the period. Default: now."`
	FailedOnly bool      `help:"Leave out deliveries that succeeded."`
	JSON       bool      `help:"Print one JSON object."`
}

// Run schedules deliveries again.
func (c *webhookRedeliverCmd) Run(ctx context.Context, a *app) error {
	if c.Delivery == (wallet.ID{}) && c.From.IsZero() {
		return errors.New("--delivery or --from is required")
	}
	if c.To.IsZero() {
		c.To = a.Now()
	}
	return withTx(ctx, c.Database, func(tx pgx.Tx) error {
		ref, err := postgres.FindEndpointRef(ctx, tx, c.Webhook)
		if err != nil {
			return err
		}
		n, err := postgres.Redeliver(ctx, tx, postgres.Redelivery{
			Endpoint: ref, DeliveryID: c.Delivery, From: c.From, To: c.To, FailedOnly: c.FailedOnly, Now: a.Now(),
		})
		if err != nil {
			return err
		}
		if c.JSON {
			return a.printJSON(struct {
				Deliveries int64 `json:"deliveries"`
			}{n})
		}
		a.printf("%d deliveries are sent again\n", n)
		return nil
	})
}
