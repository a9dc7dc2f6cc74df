package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/fundrail/fundrail/internal/devstack"
	"github.com/fundrail/fundrail/internal/stripesim"
)

// stripeView reads what the simulated Stripe knows, as Stripe's dashboard would show it.
type stripeView struct {
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

// events returns the events about the intent of a payment, newest first.
func (v *stripeView) events(ctx context.Context, paymentID string) ([]simEvent, error) {
	var page struct {
		Data []json.RawMessage `json:"data"`
	}
	err := v.get(ctx, "/v1/events", url.Values{"limit": {"100"}, "type": {"payment_intent.*"}}, &page)
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

// received returns the sum of what Stripe received from a customer's cards, in cents,
// and the number of charges.
func (v *stripeView) received(ctx context.Context, customer string) (sum int64, count int, err error) {
	params := url.Values{"customer": {customer}, "limit": {"100"}}
	for {
		var page struct {
			Data []struct {
				ID             string `json:"id"`
				AmountReceived int64  `json:"amount_received"`
			} `json:"data"`
			HasMore bool `json:"has_more"`
		}
		if err := v.get(ctx, "/v1/payment_intents", params, &page); err != nil {
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

// dropDeliveries keeps the simulator from delivering events until resume is called. The
// events of that time can be listed, but are never delivered.
func (v *stripeView) dropDeliveries() (resume func(), err error) {
	id, err := v.server.AddWebhookFault(stripesim.WebhookFault{Kind: stripesim.HookDrop})
	if err != nil {
		return nil, err
	}
	return func() { v.server.RemoveFault(id) }, nil
}

func (v *stripeView) get(ctx context.Context, path string, params url.Values, answer any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.url+path+"?"+params.Encode(), nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+devstack.StripeKey)
	res, err := v.http.Do(req)
	if err != nil {
		return fmt.Errorf("ask the simulator: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("ask the simulator for %s: %s", path, res.Status)
	}
	if err := json.NewDecoder(res.Body).Decode(answer); err != nil {
		return fmt.Errorf("read the simulator's answer to %s: %w", path, err)
	}
	return nil
}
