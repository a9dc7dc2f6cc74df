package stripesim_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/client"

	"github.com/fundrail/fundrail/internal/stripesim"
	"github.com/fundrail/fundrail/internal/stripesim/simtest"
)

const returnURL = "https://shop.example/back?order=7"

// noon is the time of most tests' clocks.
var noon = time.Date(2026, time.March, 14, 12, 0, 0, 0, time.UTC)

// bundle is a simulator whose clock moves only by Advance, with a client and a
// customer.
type bundle struct {
	client   *client.API
	customer string
	sim      *simtest.Sim
}

func setup(t *testing.T, opts ...simtest.Option) *bundle {
	t.Helper()
	sim := simtest.New(t, append([]simtest.Option{simtest.WithNow(func() time.Time { return noon })}, opts...)...)
	return &bundle{client: sim.Client(), customer: sim.Customer(), sim: sim}
}

// params returns a create-and-confirm request for 10.00 usd with a saved card.
func (b *bundle) params(card string) *stripe.PaymentIntentParams {
	return &stripe.PaymentIntentParams{
		Amount:             stripe.Int64(1000),
		Confirm:            new(true),
		Currency:           new("usd"),
		Customer:           new(b.customer),
		PaymentMethod:      new(b.sim.Card(b.customer, card)),
		PaymentMethodTypes: stripe.StringSlice([]string{"card"}),
		ReturnURL:          new(returnURL),
	}
}

// pay creates and confirms an intent. It returns the intent's state afterwards and
// the error of the call.
func (b *bundle) pay(t *testing.T, card string, change ...func(*stripe.PaymentIntentParams)) (*stripe.PaymentIntent, *stripe.Error) {
	t.Helper()
	p := b.params(card)
	for _, c := range change {
		c(p)
	}
	pi, err := b.client.PaymentIntents.New(p)
	if err == nil {
		return pi, nil
	}
	stripeErr := asStripe(t, err)
	if stripeErr.PaymentIntent == nil {
		return nil, stripeErr
	}
	return b.retrieve(t, stripeErr.PaymentIntent.ID), stripeErr
}

func (b *bundle) retrieve(t *testing.T, id string) *stripe.PaymentIntent {
	t.Helper()
	pi, err := b.client.PaymentIntents.Get(id, nil)
	require.NoError(t, err)
	return pi
}

// paid returns an intent that succeeded.
func (b *bundle) paid(t *testing.T, card string, change ...func(*stripe.PaymentIntentParams)) *stripe.PaymentIntent {
	t.Helper()
	pi, err := b.pay(t, card, change...)
	require.Nil(t, err)
	require.Equal(t, stripe.PaymentIntentStatusSucceeded, pi.Status)
	return pi
}

func offSession(p *stripe.PaymentIntentParams) {
	p.OffSession, p.ReturnURL = new(true), nil
}

func manualCapture(p *stripe.PaymentIntentParams) { p.CaptureMethod = new("manual") }

func withMetadata(key, value string) func(*stripe.PaymentIntentParams) {
	return func(p *stripe.PaymentIntentParams) { p.AddMetadata(key, value) }
}

func withKey(key string) func(*stripe.PaymentIntentParams) {
	return func(p *stripe.PaymentIntentParams) { p.SetIdempotencyKey(key) }
}

func asStripe(t *testing.T, err error) *stripe.Error {
	t.Helper()
	var stripeErr *stripe.Error
	require.ErrorAs(t, err, &stripeErr)
	return stripeErr
}

// types returns the event types of the objects, oldest first.
func (b *bundle) types(objects ...string) []string {
	var out []string
	for _, ev := range b.sim.Events(false) {
		for _, o := range objects {
			if ev.Object == o {
				out = append(out, ev.Type)
			}
		}
	}
	return out
}

// answer is an HTTP answer with its whole body.
type answer struct {
	body   []byte
	header http.Header
	status int
}

func (a *answer) json(t *testing.T) map[string]any {
	t.Helper()
	var v map[string]any
	require.NoError(t, json.Unmarshal(a.body, &v), string(a.body))
	return v
}

// problem returns the error object of an answer.
func (a *answer) problem(t *testing.T) map[string]any {
	t.Helper()
	v, ok := a.json(t)["error"].(map[string]any)
	require.True(t, ok, string(a.body))
	return v
}

// raw sends an arbitrary request. It does not follow redirects.
func (b *bundle) raw(t *testing.T, method, path, body string, headers ...string) *answer {
	t.Helper()
	a, err := b.try(t, method, path, body, headers...)
	require.NoError(t, err)
	return a
}

func (b *bundle) try(t *testing.T, method, path, body string, headers ...string) (*answer, error) {
	t.Helper()
	return b.tryContext(t.Context(), method, path, body, headers...)
}

func (b *bundle) tryContext(ctx context.Context, method, path, body string, headers ...string) (*answer, error) {
	if !strings.HasPrefix(path, "http") {
		path = b.sim.URL + path
	}
	req, err := http.NewRequestWithContext(ctx, method, path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+simtest.Key)
	if body != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	if req.Header.Get("Authorization") == "none" {
		req.Header.Del("Authorization")
	}
	res, err := plain.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	read, err := io.ReadAll(res.Body)
	return &answer{body: read, header: res.Header, status: res.StatusCode}, err
}

// plain does not follow redirects and does not repeat requests on new connections.
var plain = &http.Client{
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Transport:     &http.Transport{DisableKeepAlives: true},
}

func form(pairs ...string) string {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v.Encode()
}

// control calls the control API and decodes the answer.
func control[T any](t *testing.T, b *bundle, method, path string, in any) T {
	t.Helper()
	body := ""
	if in != nil {
		raw, err := json.Marshal(in)
		require.NoError(t, err)
		body = string(raw)
	}
	a := b.raw(t, method, path, body, "Content-Type", "application/json")
	require.Equal(t, http.StatusOK, a.status, string(a.body))
	var out T
	require.NoError(t, json.Unmarshal(a.body, &out), string(a.body))
	return out
}

func stopped(t *testing.T, srv *stripesim.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	require.NoError(t, srv.Close(ctx))
}

func savedCard(customer, card string) stripesim.SavedCard {
	return stripesim.SavedCard{Card: card, Customer: customer, SetUp: true}
}

// text returns a field of the answer as JSON.
func (a *answer) text(t *testing.T, field string) string {
	t.Helper()
	raw, err := json.Marshal(a.json(t)[field])
	require.NoError(t, err)
	return string(raw)
}
