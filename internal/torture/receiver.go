package torture

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/fundrail/fundrail/internal/wallet"
)

// receiver is the endpoint of all merchants. Like real endpoints it fails, hangs
// and closes connections, sometimes after it has accepted an event. It records what
// it accepts.
type receiver struct {
	secrets []string // of the merchants
	server  *http.Server
	url     string

	mu       sync.Mutex
	dice     *rand.Rand
	reliable bool // whether it fails no more
	tries    map[receipt]int
	received []receipt // the accepted events in order, including repetitions
	unsigned []string  // errors of signatures
	hits     map[string]int64
}

// receipt is an event that a merchant accepted.
type receipt struct {
	merchant int
	event    wallet.ID
}

// How the receiver treats a delivery.
const (
	acceptAndAnswer = ""
	acceptAndHangUp = "merchant: understood, then hung up"
	refuse          = "merchant: answered 500"
	hangUp          = "merchant: hung up"
	doNotAnswer     = "merchant: said nothing"
	maxFailures     = 3 // per delivery, so that a merchant accepts it in the end
	noAnswerFor     = 3 * time.Second
	maxEventBytes   = 1 << 20
)

// failureRates are the probabilities of failures, per thousand.
var failureRates = []struct {
	what  string
	share int
}{{refuse, 100}, {hangUp, 40}, {acceptAndHangUp, 40}, {doNotAnswer, 8}}

func startReceiver(ctx context.Context, seed uint64) (*receiver, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &receiver{
		dice: newDice(seed), hits: map[string]int64{}, tries: map[receipt]int{}, url: "http://" + l.Addr().String(),
	}
	for range merchants {
		r.secrets = append(r.secrets, wallet.NewWebhookSecret())
	}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = r.server.Serve(l) }() // the error reports that close was called
	return r, nil
}

func newDice(seed uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, 7)) //nolint:gosec // repeatable dice, not a secret
}

func (r *receiver) close() { _ = r.server.Close() }

// address returns the address of a merchant's endpoint.
func (r *receiver) address(merchant int) string { return r.url + "/" + strconv.Itoa(merchant) }

// signature returns the dialect of a merchant's endpoint.
func signature(merchant int) wallet.SignatureKind {
	return []wallet.SignatureKind{wallet.SignatureStandard, wallet.SignatureLava, wallet.SignatureLago}[merchant%3]
}

// ServeHTTP implements http.Handler.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxEventBytes))
	if err != nil {
		return // the sender was killed
	}
	merchant, err := strconv.Atoi(strings.TrimPrefix(req.URL.Path, "/"))
	if err != nil || merchant < 0 || merchant >= len(r.secrets) {
		http.NotFound(w, req)
		return
	}
	id, err := wallet.ParseID(wallet.PrefixEvent, wallet.ModeTest, req.Header.Get("webhook-id"))
	if err == nil {
		err = verify(signature(merchant), r.secrets[merchant], req.Header, body)
	}
	if err != nil {
		r.mu.Lock()
		r.unsigned = append(r.unsigned, fmt.Sprintf("merchant %d: %s: %v", merchant, req.Header.Get("webhook-id"), err))
		r.mu.Unlock()
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	switch r.treatment(receipt{merchant, id}) {
	case acceptAndAnswer:
		w.WriteHeader(http.StatusOK)
	case refuse:
		w.WriteHeader(http.StatusInternalServerError)
	case doNotAnswer:
		pause(req.Context(), noAnswerFor)
		panic(http.ErrAbortHandler)
	default:
		panic(http.ErrAbortHandler)
	}
}

// treatment decides how to treat a delivery, and records it if it is accepted.
func (r *receiver) treatment(h receipt) string {
	r.mu.Lock()
	defer r.mu.Unlock()

	what := acceptAndAnswer
	if !r.reliable && r.tries[h] < maxFailures {
		n := r.dice.IntN(1000)
		for _, m := range failureRates {
			if n -= m.share; n < 0 {
				what = m.what
				break
			}
		}
	}
	r.tries[h]++
	if what != acceptAndAnswer {
		r.hits[what]++
	}
	if what == acceptAndAnswer || what == acceptAndHangUp {
		r.received = append(r.received, h)
	}
	return what
}

// stopFailures ends the failures and returns how often each occurred.
func (r *receiver) stopFailures() map[string]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reliable = true
	return r.hits
}

// verify checks the signature of the Standard Webhooks specification, which every
// dialect has, and the dialect's own.
func verify(k wallet.SignatureKind, secret string, h http.Header, body []byte) error {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return err
	}
	signed := append([]byte(h.Get("webhook-id")+"."+h.Get("webhook-timestamp")+"."), body...)
	if want := "v1," + base64.StdEncoding.EncodeToString(sum(key, signed)); h.Get("webhook-signature") != want {
		return fmt.Errorf("signature %q, not %q", h.Get("webhook-signature"), want)
	}
	name, want := "webhook-signature", h.Get("webhook-signature")
	switch k {
	case wallet.SignatureLava:
		name, want = "X-Webhook-Signature", hex.EncodeToString(sum([]byte(secret), body))
	case wallet.SignatureLago:
		name, want = "X-Lago-Signature", base64.StdEncoding.EncodeToString(sum([]byte(secret), body))
	case wallet.SignatureStandard:
	}
	if got := h.Get(name); got != want {
		return fmt.Errorf("%s %q, not %q", name, got, want)
	}
	return nil
}

func sum(key, message []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(message)
	return h.Sum(nil)
}
