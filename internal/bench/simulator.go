package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// stripeKey is the key for the simulator, which accepts any key of test mode.
const stripeKey = "sk_test_fundrail_bench"

// subscribed are the events that the endpoints receive. They are those that the
// service handles, as a real endpoint would be configured.
var subscribed = []string{
	"charge.dispute.closed", "charge.dispute.created", "charge.dispute.funds_reinstated", "charge.dispute.funds_withdrawn",
	"charge.refund.updated", "charge.refunded",
	"payment_intent.canceled", "payment_intent.payment_failed", "payment_intent.processing",
	"payment_intent.requires_action", "payment_intent.succeeded",
}

// simulator is a simulated Stripe in its own process.
type simulator struct {
	*child
	http *http.Client
	url  string
}

// startSimulator starts a simulator for a target. Targets do not share one, because
// the service regularly lists all events of its account.
func (b *bench) startSimulator(ctx context.Context, target string) (*simulator, error) {
	addr, err := freeAddr(ctx)
	if err != nil {
		return nil, err
	}
	// The simulator keeps its whole history in memory and is not measured. Garbage
	// collection should take little of the processor time.
	env := []string{"GOGC=400"}
	c, err := b.startChild(ctx, target+"-stripesim", addr, env, "stripesim", "--listen", addr, "--log-level", "error")
	if err != nil {
		return nil, err
	}
	b.onStop(func() error { return c.stop() })
	return &simulator{child: c, http: &http.Client{Timeout: time.Minute}, url: "http://" + addr}, nil
}

// createEndpoint creates a webhook endpoint and returns its secret.
func (s *simulator) createEndpoint(ctx context.Context, address string) (secret string, err error) {
	var endpoint struct {
		Secret string `json:"secret"`
	}
	form := url.Values{"url": {address}, "enabled_events[]": subscribed}
	err = s.post(ctx, "/v1/webhook_endpoints", form, &endpoint)
	return endpoint.Secret, err
}

// setLatency sets the duration of each following request.
func (s *simulator) setLatency(ctx context.Context, d time.Duration) error {
	return s.control(ctx, "/_sim/settings", map[string]string{"request_latency": d.String()}, nil)
}

// waitIdle returns when all events have been delivered.
func (s *simulator) waitIdle(ctx context.Context) error {
	var counts struct {
		GivenUp int `json:"given_up"`
	}
	return s.control(ctx, "/_sim/wait_idle", map[string]string{"timeout": "50s"}, &counts)
}

// sampleEvent returns an event of the type, as the API lists it.
func (s *simulator) sampleEvent(ctx context.Context, eventType string) ([]byte, error) {
	var page struct {
		Data []json.RawMessage `json:"data"`
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/v1/events?limit=1&type="+eventType, nil)
	if err != nil {
		return nil, err
	}
	if err := s.send(req, &page); err != nil {
		return nil, err
	}
	if len(page.Data) == 0 {
		return nil, fmt.Errorf("the simulator has no event of type %s", eventType)
	}
	return page.Data[0], nil
}

// saveCards creates the merchants' customers and cards over several connections.
func (s *simulator) saveCards(ctx context.Context, all []merchant) error {
	const connections = 8
	var wg sync.WaitGroup
	errs := make([]error, connections)
	for i := range connections {
		wg.Go(func() {
			c, err := dial(ctx, s.addr)
			if err != nil {
				errs[i] = err
				return
			}
			defer c.close()
			for n := i; n < len(all) && errs[i] == nil && ctx.Err() == nil; n += connections {
				errs[i] = s.saveMerchant(c, all[n])
			}
		})
	}
	wg.Wait()
	return errors.Join(append(errs, ctx.Err())...)
}

func (s *simulator) saveMerchant(c *conn, m merchant) error {
	if err := s.saveObject(c, "/_sim/customers", map[string]any{"id": m.stripeCustomer}); err != nil {
		return err
	}
	for _, card := range m.cards {
		name := "pm_card_visa"
		if card.challenge {
			name = "pm_card_threeDSecure2Required"
		}
		err := s.saveObject(c, "/_sim/payment_methods", map[string]any{
			"card": name, "customer": m.stripeCustomer, "id": card.stripeMethod,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *simulator) saveObject(c *conn, path string, object map[string]any) error {
	body, err := json.Marshal(object)
	if err != nil {
		return err
	}
	status, answer, err := c.do(appendPost(nil, s.addr, path, "application/json", body))
	if err != nil {
		return fmt.Errorf("call the simulator: %w", err)
	}
	if status != http.StatusOK {
		return fmt.Errorf("call the simulator for %s: %d %s", path, status, answer)
	}
	return nil
}

// appendPost appends an encoded POST request to buf.
func appendPost(buf []byte, host, path, contentType string, body []byte) []byte {
	return fmt.Appendf(buf, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
		path, host, contentType, len(body), body)
}

func (s *simulator) post(ctx context.Context, path string, form url.Values, answer any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return s.send(req, answer)
}

func (s *simulator) control(ctx context.Context, path string, body, answer any) error {
	content, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+path, bytes.NewReader(content))
	if err != nil {
		return err
	}
	return s.send(req, answer)
}

func (s *simulator) send(req *http.Request, answer any) error {
	req.Header.Set("Authorization", "Bearer "+stripeKey)
	res, err := s.http.Do(req)
	if err != nil {
		return fmt.Errorf("call the simulator: %w", err)
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("read the simulator's answer: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("call the simulator for %s: %s %s", req.URL.Path, res.Status, content)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(content, answer)
}
