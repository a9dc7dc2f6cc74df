package stripesim_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/stripesim"
)

// chargeForm returns the body of a create-and-confirm request as the service sends
// it.
func chargeForm(cus, pm, payment string) string {
	return "amount=1000&confirm=true&currency=usd&customer=" + cus + "&metadata[payment_id]=" + payment +
		"&metadata[wallet_id]=0190d8f1-0000-7000-8000-000000000001&payment_method=" + pm +
		"&payment_method_types[0]=card&receipt_email=ada%40example.com&return_url=https%3A%2F%2Fexample.com%2Fback"
}

func chargeRequest(tb testing.TB, target, body, key string) *http.Request {
	tb.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, target+"/v1/payment_intents", strings.NewReader(body))
	require.NoError(tb, err)
	req.Header.Set("Authorization", "Bearer sk_test_bench")
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Idempotency-Key", key)
	return req
}

// BenchmarkCreateAndConfirm measures the handler without the network. Its webhook
// has an address that does not listen.
func BenchmarkCreateAndConfirm(b *testing.B) {
	srv, err := stripesim.New(stripesim.Config{})
	require.NoError(b, err)
	defer func() { require.NoError(b, srv.Close(context.Background())) }()
	cus, err := srv.CreateCustomer(stripesim.NewCustomer{})
	require.NoError(b, err)
	pm, err := srv.CreatePaymentMethod(stripesim.SavedCard{Card: "pm_card_visa", Customer: cus.ID})
	require.NoError(b, err)
	var n atomic.Int64
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			id := strconv.FormatInt(n.Add(1), 10)
			rec := httptest.NewRecorder()
			srv.ServeHTTP(rec, chargeRequest(b, "http://sim", chargeForm(cus.ID, pm.ID, id), "key-"+id))
			if rec.Code != http.StatusOK {
				b.Fatal(rec.Body.String())
			}
		}
	})
}

// BenchmarkOverHTTP adds the network and the delivery of three webhooks.
func BenchmarkOverHTTP(b *testing.B) {
	var received atomic.Int64
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		received.Add(1)
		w.WriteHeader(http.StatusOK)
	}))
	defer hook.Close()
	srv, err := stripesim.New(stripesim.Config{WebhookURL: hook.URL, WebhookSecrets: []string{"whsec_bench"}})
	require.NoError(b, err)
	run, err := srv.Listen("127.0.0.1:0")
	require.NoError(b, err)
	defer func() { require.NoError(b, run.Close(context.Background())) }()
	cus, err := srv.CreateCustomer(stripesim.NewCustomer{})
	require.NoError(b, err)
	pm, err := srv.CreatePaymentMethod(stripesim.SavedCard{Card: "pm_card_visa", Customer: cus.ID})
	require.NoError(b, err)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	var n atomic.Int64
	b.ReportAllocs()
	b.SetParallelism(32)
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			id := strconv.FormatInt(n.Add(1), 10)
			res, err := client.Do(chargeRequest(b, run.URL, chargeForm(cus.ID, pm.ID, id), "key-"+id))
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
		}
	})
	require.NoError(b, srv.WaitIdle(context.Background()))
	b.ReportMetric(float64(received.Load())/b.Elapsed().Seconds(), "webhooks/s")
}
