package webhooks_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/stripe/stripe-go/v76/webhook"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/jobs"
	"github.com/fundrail/fundrail/webhooks"
)

// eventBody is about as large as Stripe's events.
var eventBody = []byte(fmt.Sprintf(`{"id":"evt_3Nn1iKLkdIwHu7ix0000000X","object":"event","api_version":"2023-10-16","created":1760000000,`+
	`"livemode":false,"type":"payment_intent.succeeded","data":{"object":{"id":"pi_3Nn1iKLkdIwHu7ix00000000","object":"payment_intent",`+
	`"amount":2500,"amount_received":2500,"currency":"usd","metadata":{"payment_id":"%s"},"charges":[%s]}}}`,
	wallet.NewID(), strings.TrimSuffix(strings.Repeat(`{"id":"ch_1","amount":2500,"paid":true,"refunded":false},`, 36), ",")))

// BenchmarkReceive measures the handling of an event without storing it: reading
// the body, verifying the signature and parsing.
func BenchmarkReceive(b *testing.B) {
	e := echo.New()
	(&webhooks.Handler{
		Intake: intakeFunc(func(context.Context, jobs.Intake) (postgres.StoredEvent, error) {
			return postgres.StoredEvent{}, nil
		}),
		Log:     slog.New(slog.DiscardHandler),
		Now:     time.Now,
		Secrets: map[wallet.Mode][]string{wallet.ModeTest: {testSecret}},
	}).Register(e)
	signed := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: eventBody, Secret: testSecret})
	b.SetBytes(int64(len(eventBody)))
	b.ReportAllocs()
	for b.Loop() {
		req := httptest.NewRequestWithContext(b.Context(), http.MethodPost, webhooks.Path, bytes.NewReader(eventBody))
		req.Header.Set("Stripe-Signature", signed.Header)
		rec := httptest.NewRecorder()
		e.ServeHTTP(rec, req)
		if rec.Code != http.StatusOK {
			b.Fatal(rec.Code, rec.Body)
		}
	}
}

func BenchmarkParseEvent(b *testing.B) {
	b.SetBytes(int64(len(eventBody)))
	b.ReportAllocs()
	for b.Loop() {
		in, err := jobs.ParseEvent(eventBody, wallet.ModeTest)
		if err != nil || in.Event.PaymentID == (wallet.ID{}) {
			b.Fatal(in, err)
		}
	}
}
