package demo

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/fundrail/fundrail/client"
	"github.com/fundrail/fundrail/internal/console"
)

// delivery is a webhook that the merchant of the story received.
type delivery struct {
	name     string
	status   string
	sequence int64
	problem  error // why it could not be verified
}

// merchantEndpoint is a merchant's server, which receives webhooks and verifies them as
// the Standard Webhooks specification says.
type merchantEndpoint struct {
	server     *http.Server
	secret     chan string // holds the endpoint's secret once it is known
	deliveries chan delivery
}

// newMerchantEndpoint starts an endpoint and returns it with its address.
func newMerchantEndpoint(ctx context.Context) (*merchantEndpoint, string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	m := &merchantEndpoint{secret: make(chan string, 1), deliveries: make(chan delivery, 100)}
	m.server = &http.Server{Handler: http.HandlerFunc(m.receive), ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = m.server.Serve(l) }() // ends with close
	return m, "http://" + l.Addr().String() + "/webhooks", nil
}

func (m *merchantEndpoint) close() { _ = m.server.Close() }

func (m *merchantEndpoint) receive(w http.ResponseWriter, r *http.Request) {
	const maxBody = 1 << 20
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		http.Error(w, "the body could not be read", http.StatusBadRequest)
		return
	}
	secret := <-m.secret
	m.secret <- secret
	event, err := verify(secret, r.Header, body)
	d := delivery{name: event.Type, sequence: event.Sequence, problem: err}
	if err == nil {
		payment, err := event.Payment()
		d.status, d.problem = string(payment.Status), err
	}
	m.deliveries <- d
	w.WriteHeader(http.StatusNoContent)
}

// verify checks a delivery's signature and reads its event with the Go client.
func verify(secret string, h http.Header, body []byte) (client.Event, error) {
	v, err := client.NewVerifier(secret)
	if err != nil {
		return client.Event{}, err
	}
	return v.Verify(h, body)
}

// runDeliveries creates an endpoint and sends it the events of a payment that requires a
// challenge.
func runDeliveries(ctx context.Context, s *story) error {
	m, address, err := newMerchantEndpoint(ctx)
	if err != nil {
		return err
	}
	defer m.close()
	r, err := s.call(ctx, http.MethodPost, s.stack.APIURL+"/v1/webhooks", []byte(`{"name":"Demo","url":"`+address+`",`+
		`"signature":"standard","events":["payment.requires_action","payment.succeeded"]}`))
	if err != nil {
		return err
	}
	s.fact("sent", "POST /v1/webhooks  %s", s.paint(console.Faint, address))
	s.same("the HTTP status", r.status, http.StatusCreated)
	m.secret <- r.text("webhook_secret")
	defer func() {
		_, _ = s.call(context.WithoutCancel(ctx), http.MethodDelete, s.stack.APIURL+"/v1/webhooks/"+r.text("webhook_id"), nil)
	}()
	return s.gained(ctx, 45_00, func() error {
		payment, err := s.challenge(ctx, "45.00", "succeed")
		if err != nil {
			return err
		}
		if _, err := s.becomes(ctx, payment, "completed"); err != nil {
			return err
		}
		var names []string
		for range 2 {
			select {
			case d := <-m.deliveries:
				s.fact("received", "%s  %s", d.name, d.status)
				s.check(d.problem == nil, "the signature is valid")
				s.same("its sequence number", d.sequence, len(names)+1)
				names = append(names, d.name)
			case <-time.After(patience):
				s.fail(fmt.Sprintf("the merchant received %d of 2 webhooks", len(names)))
				return s.booked(ctx, 1)
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		s.check(slices.Equal(names, []string{"payment.requires_action", "payment.succeeded"}),
			"the merchant received %s, in this order", strings.Join(names, " and "))
		return s.booked(ctx, 1)
	})
}
