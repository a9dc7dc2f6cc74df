package client_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/fundrail/fundrail/client"
)

// exampleServer simulates a Fundrail server. It declines cards whose id ends in 1,
// and it loses the first answer to each idempotency key.
func exampleServer() *httptest.Server {
	seen := map[string]bool{}
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := r.Header.Get("Idempotency-Key")
		if key != "" && !seen[key] {
			seen[key] = true
			panic(http.ErrAbortHandler)
		}
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.Method == http.MethodGet:
			_, _ = io.WriteString(w, `{"data":[{"payment_id":"pay_test_2","status":"completed","amount":"25.00"},`+
				`{"payment_id":"pay_test_1","status":"canceled","amount":"40.00"}],"has_more":false,"next_cursor":null}`)
		case strings.Contains(string(body), `1","amount"`):
			w.WriteHeader(http.StatusPaymentRequired)
			_, _ = io.WriteString(w, `{"error":{"message":"Your card has insufficient funds.","code":"card_declined",`+
				`"status":402,"decline_code":"insufficient_funds","payment_id":"pay_test_3"}}`)
		default:
			_, _ = io.WriteString(w, `{"status":"completed","payment_id":"pay_test_2","balance":"125.00"}`)
		}
	}))
}

func Example() {
	server := exampleServer() // use the address of your server, such as https://pay.example.com
	defer server.Close()
	c, err := client.New(client.Config{URL: server.URL, Key: "aks_test_…"})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()

	payment, err := c.Fund(ctx, client.FundRequest{PaymentMethodID: "pm_test_2", Amount: client.Cents(2500)})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(payment.ID, payment.Status, payment.Balance)
	// Output: pay_test_2 completed 125.00
}

func ExampleClient_Fund() {
	server := exampleServer()
	defer server.Close()
	c, _ := client.New(client.Config{URL: server.URL, Key: "aks_test_…"})
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()

	payment, err := c.Fund(ctx, client.FundRequest{
		PaymentMethodID: "pm_test_1",
		Amount:          client.Cents(2500),
		IdempotencyKey:  "order-4711", // stored with the order, so that a restarted program finds the payment
	})
	var refused *client.Error
	var pending *client.PendingError
	switch {
	case errors.As(err, &refused) && refused.Declined():
		fmt.Println("ask for another card:", refused.DeclineCode)
	case errors.As(err, &pending):
		fmt.Println("ask again later, with", pending.IdempotencyKey)
	case err != nil:
		fmt.Println("something is wrong:", err)
	case payment.Status == client.StatusRequiresAction:
		fmt.Println("send the cardholder to", payment.RedirectURL)
	default:
		fmt.Println("paid; there are now", payment.Balance)
	}
	// Output: ask for another card: insufficient_funds
}

func ExampleClient_AllPayments() {
	server := exampleServer()
	defer server.Close()
	c, _ := client.New(client.Config{URL: server.URL, Key: "aks_test_…"})

	for payment, err := range c.AllPayments(context.Background()) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(payment.ID, payment.Amount, payment.Status)
	}
	// Output:
	// pay_test_2 25.00 completed
	// pay_test_1 40.00 canceled
}

func ExampleVerifier_Verify() {
	secret := "whsec_" + base64.StdEncoding.EncodeToString([]byte("as CreateWebhook returned it"))
	verifier, err := client.NewVerifier(secret)
	if err != nil {
		fmt.Println(err)
		return
	}
	endpoint := func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			http.Error(w, "not read", http.StatusBadRequest)
			return
		}
		event, err := verifier.Verify(r.Header, body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		// An event can be delivered several times: store event.ID, and handle it
		// once.
		if event.Type == client.EventPaymentSucceeded {
			payment, err := event.Payment()
			fmt.Println(payment.ID, payment.Amount, err)
		}
		w.WriteHeader(http.StatusNoContent)
	}

	body := `{"type":"payment.succeeded","timestamp":"2026-03-14T09:26:54Z","id":"evt_test_1","sequence":1,` +
		`"data":{"payment_id":"pay_test_2","status":"completed","amount":"25.00"}}`
	for _, by := range []string{secret, "whsec_c29tZWJvZHkgZWxzZQ=="} {
		r := httptest.NewRequest(http.MethodPost, "/webhooks", strings.NewReader(body))
		signer, _ := standardwebhooks.NewWebhook(by)
		now := time.Now()
		signature, _ := signer.Sign("evt_test_1", now, []byte(body))
		r.Header.Set("Webhook-Id", "evt_test_1")
		r.Header.Set("Webhook-Timestamp", fmt.Sprint(now.Unix()))
		r.Header.Set("Webhook-Signature", signature)
		rec := httptest.NewRecorder()
		endpoint(rec, r)
		fmt.Println(rec.Code)
	}
	// Output:
	// pay_test_2 25.00 <nil>
	// 204
	// 400
}
