package plain

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/jobs"
)

const (
	maxBody  = 1 << 20
	waitFor  = 20 * time.Second
	lookEach = 50 * time.Millisecond
)

// fund accepts a payment. Unless the request has a Prefer header, it waits until
// the payment has been charged.
func (p *program) fund(w http.ResponseWriter, r *http.Request) {
	var request struct {
		PaymentMethodID string `json:"payment_method_id"`
		Amount          string `json:"amount"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&request); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	amount, err := wallet.ParseFundAmount(request.Amount)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	method, err := wallet.ParseID(wallet.PrefixPaymentMethod, wallet.ModeTest, request.PaymentMethodID)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	key := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	payment, err := p.accept(r.Context(), key, method, amount)
	if errors.Is(err, pgx.ErrNoRows) {
		http.Error(w, "no such key or card", http.StatusUnauthorized)
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	status, redirect := "created", ""
	if r.Header.Get("Prefer") == "" {
		status, redirect = p.wait(r.Context(), payment)
	}
	code := http.StatusOK
	if status == "created" {
		code = http.StatusAccepted
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]string{ // fails only if the client has gone
		"status": status, "payment_id": payment.String(), "redirect_url": redirect,
	})
}

// wait polls the payment's status.
func (p *program) wait(ctx context.Context, payment wallet.ID) (status, redirect string) {
	ctx, cancel := context.WithTimeout(ctx, waitFor)
	defer cancel()
	tick := time.NewTicker(lookEach)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return "created", ""
		case <-tick.C:
		}
		err := p.pool.QueryRow(ctx, `select status, coalesce(redirect_url, '') from payments where id = $1`, payment).
			Scan(&status, &redirect)
		if err == nil && status != "created" {
			return status, redirect
		}
	}
}

// webhook stores an event with the job that settles its payment.
func (p *program) webhook(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if !p.signed(body, r.Header.Get("Stripe-Signature")) {
		http.Error(w, "bad signature", http.StatusBadRequest)
		return
	}
	in, err := jobs.ParseEvent(body, wallet.ModeTest)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := p.storeEvent(r.Context(), in.Event); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// signed reports whether an event has a valid signature of Stripe's.
func (p *program) signed(body []byte, header string) bool {
	at, signature, ok := strings.Cut(header, ",v1=")
	at, found := strings.CutPrefix(at, "t=")
	if !ok || !found {
		return false
	}
	given, err := hex.DecodeString(signature)
	if err != nil {
		return false
	}
	mac := hmac.New(sha256.New, []byte(p.secret))
	_, _ = mac.Write([]byte(at + ".")) // a hash's Write never fails
	_, _ = mac.Write(body)
	return hmac.Equal(given, mac.Sum(nil))
}
