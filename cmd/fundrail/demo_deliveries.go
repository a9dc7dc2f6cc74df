package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/fundrail/fundrail/client"
)

// told is a delivery that the merchant of the story got.
type told struct {
	name     string
	status   string
	sequence int64
	verified error
}

// merchantEndpoint is a merchant's server: it takes webhooks in and verifies them as
// the Standard Webhooks specification says.
type merchantEndpoint struct {
	server *http.Server
	secret chan string // holds it once it is known
	told   chan told
}

func newMerchantEndpoint(ctx context.Context) (*merchantEndpoint, string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	m := &merchantEndpoint{secret: make(chan string, 1), told: make(chan told, 100)}
	m.server = &http.Server{Handler: http.HandlerFunc(m.receive), ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = m.server.Serve(l) }() // ends with close
	return m, "http://" + l.Addr().String() + "/webhooks", nil
}

func (m *merchantEndpoint) close() { _ = m.server.Close() }

func (m *merchantEndpoint) receive(w http.ResponseWriter, r *http.Request) {
	const maxBody = 1 << 20
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		http.Error(w, "not read", http.StatusBadRequest)
		return
	}
	secret := <-m.secret
	m.secret <- secret
	event, err := verify(secret, r.Header, body)
	d := told{name: event.Type, sequence: event.Sequence, verified: err}
	if err == nil {
		payment, err := event.Payment()
		d.status, d.verified = string(payment.Status), err
	}
	m.told <- d
	w.WriteHeader(http.StatusNoContent)
}

// verify finds out whether a delivery is signed with the secret, as a merchant in Go
// would.
func verify(secret string, h http.Header, body []byte) (client.Event, error) {
	v, err := client.NewVerifier(secret)
	if err != nil {
		return client.Event{}, err
	}
	return v.Verify(h, body)
}

// tellDeliveries has the merchant told of a payment that needs a challenge.
func tellDeliveries(ctx context.Context, s *story) error {
	m, address, err := newMerchantEndpoint(ctx)
	if err != nil {
		return err
	}
	defer m.close()
	r, err := s.call(ctx, http.MethodPost, s.stack.apiURL+"/v1/webhooks", []byte(`{"name":"Demo","url":"`+address+`",`+
		`"signature":"standard","events":["payment.requires_action","payment.succeeded"]}`))
	if err != nil {
		return err
	}
	s.fact("sent", "POST /v1/webhooks  %s", s.paint(faint, address))
	s.same("the HTTP status", r.status, http.StatusCreated)
	m.secret <- r.text("webhook_secret")
	defer func() {
		_, _ = s.call(context.WithoutCancel(ctx), http.MethodDelete, s.stack.apiURL+"/v1/webhooks/"+r.text("webhook_id"), nil)
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
			case d := <-m.told:
				s.fact("told", "%s  %s", d.name, d.status)
				s.check(d.verified == nil, "the signature is good")
				s.same("its place among the payment's events", d.sequence, len(names)+1)
				names = append(names, d.name)
			case <-time.After(patience):
				s.fail("the merchant was told")
				return s.booked(ctx, 1)
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		s.check(slices.Equal(names, []string{"payment.requires_action", "payment.succeeded"}),
			"the merchant was told %s, in this order", strings.Join(names, " and "))
		return s.booked(ctx, 1)
	})
}
