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

// receiver is where the merchants hear of what happens. It is no better than theirs
// are: it fails, hangs, hangs up, and forgets to say that it has understood. What it
// understands it writes down.
type receiver struct {
	secrets []string // of the merchants
	server  *http.Server
	url     string

	mu       sync.Mutex
	dice     *rand.Rand
	calm     bool // nothing goes wrong any more
	tries    map[hearing]int
	heard    []hearing // what was understood, in order and as often as it was
	unsigned []string  // what was wrong with signatures
	hits     map[string]int64
}

// hearing is an event that reached a merchant.
type hearing struct {
	merchant int
	event    wallet.ID
}

// What becomes of a delivery.
const (
	hearAndAnswer = ""
	hearAndHangUp = "merchant: understood, then hung up"
	refuse        = "merchant: answered 500"
	hangUp        = "merchant: hung up"
	sayNothing    = "merchant: said nothing"
	maxFailures   = 3 // of one delivery: a merchant answers in the end
	nothingFor    = 3 * time.Second
	maxNotice     = 1 << 20
)

// misfortunes are how likely each is, in a thousand.
var misfortunes = []struct {
	what  string
	share int
}{{refuse, 100}, {hangUp, 40}, {hearAndHangUp, 40}, {sayNothing, 8}}

func startReceiver(ctx context.Context, seed uint64) (*receiver, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &receiver{
		dice: newDice(seed), hits: map[string]int64{}, tries: map[hearing]int{}, url: "http://" + l.Addr().String(),
	}
	for range merchants {
		r.secrets = append(r.secrets, wallet.NewWebhookSecret())
	}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = r.server.Serve(l) }() // it ends when it is closed
	return r, nil
}

func newDice(seed uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, 7)) //nolint:gosec // dice that can be thrown again
}

func (r *receiver) close() { _ = r.server.Close() }

// address is where a merchant hears.
func (r *receiver) address(merchant int) string { return r.url + "/" + strconv.Itoa(merchant) }

// signature is the dialect that a merchant is spoken to in.
func signature(merchant int) wallet.SignatureKind {
	return []wallet.SignatureKind{wallet.SignatureStandard, wallet.SignatureLava, wallet.SignatureLago}[merchant%3]
}

// ServeHTTP implements http.Handler.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxNotice))
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
	switch r.fate(hearing{merchant, id}) {
	case hearAndAnswer:
		w.WriteHeader(http.StatusOK)
	case refuse:
		w.WriteHeader(http.StatusInternalServerError)
	case sayNothing:
		pause(req.Context(), nothingFor)
		panic(http.ErrAbortHandler)
	default:
		panic(http.ErrAbortHandler)
	}
}

// fate decides what becomes of a delivery, and writes it down if it is understood.
func (r *receiver) fate(h hearing) string {
	r.mu.Lock()
	defer r.mu.Unlock()

	what := hearAndAnswer
	if !r.calm && r.tries[h] < maxFailures {
		n := r.dice.IntN(1000)
		for _, m := range misfortunes {
			if n -= m.share; n < 0 {
				what = m.what
				break
			}
		}
	}
	r.tries[h]++
	if what != hearAndAnswer {
		r.hits[what]++
	}
	if what == hearAndAnswer || what == hearAndHangUp {
		r.heard = append(r.heard, h)
	}
	return what
}

// calmDown ends what goes wrong, and says how often it did.
func (r *receiver) calmDown() map[string]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calm = true
	return r.hits
}

// verify checks the signature of Standard Webhooks, which goes with every dialect,
// and the dialect's own.
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
