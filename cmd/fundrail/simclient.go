package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/fundrail/fundrail/internal/stripesim"
)

// simClient looks at the simulator as Stripe's own dashboard would. Charges go
// another way.
type simClient struct {
	http   *http.Client
	server *stripesim.Server
	url    string
}

// simEvent is an event with its body as the simulator delivers it.
type simEvent struct {
	ID   string
	Type string
	Body []byte
}

// events gives the events about the intent of a payment, the newest first.
func (c *simClient) events(ctx context.Context, paymentID string) ([]simEvent, error) {
	var page struct {
		Data []json.RawMessage `json:"data"`
	}
	err := c.get(ctx, "/v1/events", url.Values{"limit": {"100"}, "type": {"payment_intent.*"}}, &page)
	if err != nil {
		return nil, err
	}
	var list []simEvent
	for _, body := range page.Data {
		var e struct {
			ID   string `json:"id"`
			Type string `json:"type"`
			Data struct {
				Object struct {
					Metadata map[string]string `json:"metadata"`
				} `json:"object"`
			} `json:"data"`
		}
		if err := json.Unmarshal(body, &e); err != nil {
			return nil, fmt.Errorf("read the simulator's events: %w", err)
		}
		if e.Data.Object.Metadata["payment_id"] == paymentID {
			list = append(list, simEvent{ID: e.ID, Type: e.Type, Body: body})
		}
	}
	return list, nil
}

// taken sums up what the simulator took from a customer's cards, and in how many
// charges.
func (c *simClient) taken(ctx context.Context, customer string) (sum int64, count int, err error) {
	params := url.Values{"customer": {customer}, "limit": {"100"}}
	for {
		var page struct {
			Data []struct {
				ID             string `json:"id"`
				AmountReceived int64  `json:"amount_received"`
			} `json:"data"`
			HasMore bool `json:"has_more"`
		}
		if err := c.get(ctx, "/v1/payment_intents", params, &page); err != nil {
			return 0, 0, err
		}
		for _, intent := range page.Data {
			sum += intent.AmountReceived
			if intent.AmountReceived > 0 {
				count++
			}
			params.Set("starting_after", intent.ID)
		}
		if !page.HasMore {
			return sum, count, nil
		}
	}
}

// holdBack keeps the simulator from delivering events until the function that it
// returns is called. They are listed all the same, and never delivered later.
func (c *simClient) holdBack() (release func(), err error) {
	id, err := c.server.AddWebhookFault(stripesim.WebhookFault{Kind: stripesim.HookDrop})
	if err != nil {
		return nil, err
	}
	return func() { c.server.RemoveFault(id) }, nil
}

func (c *simClient) get(ctx context.Context, path string, params url.Values, answer any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+path+"?"+params.Encode(), nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+stripeTestKey)
	res, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("ask the simulator: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("ask the simulator for %s: %s", path, res.Status)
	}
	if err := json.NewDecoder(res.Body).Decode(answer); err != nil {
		return fmt.Errorf("read what the simulator says of %s: %w", path, err)
	}
	return nil
}
