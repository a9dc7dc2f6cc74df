package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/fundrail/fundrail/internal/config"
	"github.com/fundrail/fundrail/internal/console"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/jobs"
)

type eventsCmd struct {
	List   eventsListCmd   `cmd:"" help:"List stored events, newest first."`
	Replay eventsReplayCmd `cmd:"" help:"Handle stored events once more."`
}

type eventsListCmd struct {
	config.Database

	Mode   wallet.Mode          `enum:"test,live" default:"test" help:"test or live."`
	Status postgres.EventStatus `enum:"handled,ignored,pending," default:"" help:"Only events that are handled, ignored or pending."`
	Type   string               `placeholder:"payment_intent.succeeded" help:"Only events of this type."`
	Limit  int                  `default:"50" help:"Maximum number."`
	JSON   bool                 `help:"Print one JSON object."`
}

type eventLine struct {
	ID                    string               `json:"id"`
	Type                  string               `json:"type"`
	Status                postgres.EventStatus `json:"status"`
	StripePaymentIntentID string               `json:"stripe_payment_intent_id,omitempty"`
	PaymentID             *wallet.ID           `json:"payment_id,omitempty"`
	Source                string               `json:"source"`
	Deliveries            int                  `json:"deliveries"`
	CreatedAt             time.Time            `json:"created_at"`
	ReceivedAt            time.Time            `json:"received_at"`
	HandledAt             *time.Time           `json:"handled_at,omitempty"`
	Note                  string               `json:"note,omitempty"`
}

// Run lists events.
func (c *eventsListCmd) Run(ctx context.Context, a *app) error {
	return withPool(ctx, c.Database, func(pool *pgxpool.Pool) error {
		list, err := postgres.ListEvents(ctx, pool, postgres.EventFilter{
			Mode: c.Mode, Status: c.Status, Type: c.Type, Limit: c.Limit,
		})
		if err != nil {
			return err
		}
		if c.JSON {
			lines := make([]eventLine, len(list))
			for i, e := range list {
				lines[i] = newEventLine(e)
			}
			return a.printJSON(struct {
				Events []eventLine `json:"events"`
			}{lines})
		}
		rows := [][]string{{"EVENT", "TYPE", "STATUS", "DELIVERIES", "RECEIVED", "NOTE"}}
		for _, e := range list {
			rows = append(rows, []string{
				e.ID, e.Type, string(e.Status), strconv.Itoa(e.Deliveries), formatTime(&e.ReceivedAt), e.Note,
			})
		}
		return a.printTable(rows)
	})
}

func newEventLine(e postgres.Event) eventLine {
	line := eventLine{
		ID: e.ID, Type: e.Type, Status: e.Status, StripePaymentIntentID: e.StripePaymentIntentID, Source: e.Source,
		Deliveries: e.Deliveries, CreatedAt: e.CreatedAt, ReceivedAt: e.ReceivedAt, HandledAt: e.HandledAt, Note: e.Note,
	}
	if e.PaymentID != (wallet.ID{}) {
		line.PaymentID = &e.PaymentID
	}
	return line
}

type eventsReplayCmd struct {
	config.Database

	Events []string `arg:"" name:"event" help:"The events' ids."`
	JSON   bool     `help:"Print one JSON object."`
}

// Run marks events as pending, so that a worker handles them as if they had just come.
func (c *eventsReplayCmd) Run(ctx context.Context, a *app) error {
	err := withTx(ctx, c.Database, func(tx pgx.Tx) error {
		client, err := river.NewClient(riverpgxv5.New(nil), &river.Config{})
		if err != nil {
			return err
		}
		for _, id := range c.Events {
			if err := postgres.ReplayEvent(ctx, tx, id, a.Now()); err != nil {
				return fmt.Errorf("%s: %w", id, err)
			}
			if _, err := client.InsertTx(ctx, tx, jobs.HandleEventArgs{EventID: id}, nil); err != nil {
				return fmt.Errorf("insert job of event %s: %w", id, err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return a.printJSON(struct {
			Replayed []string `json:"replayed"`
		}{c.Events})
	}
	a.printf("%s pending again; a worker handles them now\n", console.Plural(len(c.Events), "event"))
	return nil
}
