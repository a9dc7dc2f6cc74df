package torture

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

	"github.com/fundrail/fundrail/internal/wallet"
)

// clients are the merchants' programs, and the cardholders.
type clients struct {
	s       *storm
	http    *http.Client
	slots   chan struct{} // bounds the requests under way
	running sync.WaitGroup

	mu     sync.Mutex
	claims []claim
}

// claim is something that a client was told about a payment. It must never turn
// out to have been wrong.
type claim struct {
	merchant  int
	plan      Payment
	paymentID string
	status    string // as the Lava dialect says it, and "declined" for 402
	code      int    // of HTTP
	balance   string
	body      string
}

// answer is what came back on a request.
type answer struct {
	code     int
	body     []byte
	replayed bool
}

// says is the part of an answer that matters.
type says struct {
	Balance     string `json:"balance"`
	PaymentID   string `json:"payment_id"`
	RedirectURL string `json:"redirect_url"`
	Status      any    `json:"status"` // a word, or a number in an error
	// Transactions are what the Lago dialect answers with.
	Transactions []struct {
		ID     string `json:"lago_id"`
		Status string `json:"status"`
	} `json:"wallet_transactions"`
}

const maxRequests = 64

func newClients(s *storm) *clients {
	return &clients{
		s: s,
		http: &http.Client{
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Timeout:       10 * time.Second,
			Transport:     &http.Transport{MaxIdleConnsPerHost: maxRequests},
		},
		slots: make(chan struct{}, maxRequests),
	}
}

// pay plays one payment of the plan, in the background.
func (c *clients) pay(ctx context.Context, p Payment) {
	for n := range p.Twins {
		c.running.Go(func() { c.play(ctx, p, n) })
	}
}

// play asks until there is an answer, as a good client does, and then follows the
// payment to its end.
func (c *clients) play(ctx context.Context, p Payment, twin int) {
	hangUp := p.HangUp
	if twin > 0 {
		hangUp = 0
	}
	for attempt := 0; ; attempt++ {
		a, err := c.fund(ctx, p, hangUp)
		hangUp = 0
		if err == nil && c.settledBy(p, a) {
			c.follow(ctx, p, a)
			return
		}
		if p.Key == "" && (!p.Repeats || attempt > 0) {
			return // it can't know, and asking again would pay again
		}
		if !pause(ctx, time.Duration(200+100*min(attempt, 10))*time.Millisecond) {
			return
		}
	}
}

// settledBy notes what the answer says, and tells whether the client may stop
// asking.
func (c *clients) settledBy(p Payment, a answer) bool {
	switch a.code {
	case http.StatusOK, http.StatusAccepted, http.StatusPaymentRequired:
		c.note(p, a)
		return true
	case http.StatusConflict, http.StatusTooManyRequests:
		return false
	case http.StatusInternalServerError:
		return true // its own answer to a payment that could not be made
	default:
		return a.code < http.StatusInternalServerError
	}
}

// note keeps what a client was told.
func (c *clients) note(p Payment, a answer) {
	var told says
	if json.Unmarshal(a.body, &told) != nil {
		return
	}
	if len(told.Transactions) > 0 {
		told.PaymentID, told.Status = told.Transactions[0].ID, told.Transactions[0].Status
	}
	if told.PaymentID == "" {
		return
	}
	status, ok := told.Status.(string)
	if !ok {
		status = "declined"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.claims = append(c.claims, claim{
		balance: told.Balance, body: string(a.body), code: a.code, merchant: p.Merchant, paymentID: told.PaymentID,
		plan: p, status: status,
	})
}

// follow looks after a payment until it is over: the cardholder passes the
// challenge, or does not, and the client looks how things stand.
func (c *clients) follow(ctx context.Context, p Payment, a answer) {
	challenged := false
	for {
		var told says
		if json.Unmarshal(a.body, &told) != nil || told.PaymentID == "" {
			return
		}
		if told.Status != "processing" && told.Status != "requires_action" {
			return
		}
		if told.Status == "requires_action" && !challenged && p.Challenge != challengeAbandon {
			challenged = true
			if !pause(ctx, p.After) {
				return
			}
			c.answerChallenge(ctx, told.RedirectURL, p.Challenge == challengePass)
		}
		if !pause(ctx, 700*time.Millisecond) {
			return
		}
		looked, err := c.look(ctx, p, told.PaymentID)
		if err == nil && looked.code == http.StatusOK {
			a = looked
			c.note(p, a)
		}
	}
}

// fund sends a fund request. It breaks off after hangUp, unless that is zero.
func (c *clients) fund(ctx context.Context, p Payment, hangUp time.Duration) (answer, error) {
	if hangUp > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, hangUp)
		defer cancel()
		c.s.counts.hungUp.Add(1)
	}
	m := c.s.merchants[p.Merchant]
	path, body, err := fundRequest(m, p)
	if err != nil {
		return answer{}, err
	}
	header := http.Header{"Content-Type": {"application/json"}}
	if p.Key != "" {
		header.Set("Idempotency-Key", p.Key)
	}
	if p.Async {
		header.Set("Prefer", "respond-async")
	}
	return c.call(ctx, m, http.MethodPost, path, header, body)
}

// fundRequest is the request for a payment in its dialect.
func fundRequest(m merchant, p Payment) (path string, body []byte, err error) {
	amount, method := wallet.FormatMinor(p.Amount, wallet.USD), m.methods[p.Card]
	if p.Lago {
		body, err = json.Marshal(map[string]any{"wallet_transaction": map[string]any{
			"wallet_id": m.walletID, "paid_credits": amount,
			"payment_method": map[string]any{"payment_method_type": "provider", "payment_method_id": method},
		}})
		return "/api/v1/wallet_transactions", body, err
	}
	body, err = json.Marshal(map[string]string{
		"amount": amount, "payment_method_id": wallet.Spell(wallet.PrefixPaymentMethod, wallet.ModeTest, method),
	})
	return "/v1/wallet/fund", body, err
}

func (c *clients) look(ctx context.Context, p Payment, paymentID string) (answer, error) {
	return c.call(ctx, c.s.merchants[p.Merchant], http.MethodGet, "/v1/payments/"+url.PathEscape(paymentID), http.Header{}, nil)
}

func (c *clients) call(ctx context.Context, m merchant, method, path string, header http.Header, body []byte) (answer, error) {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return answer{}, ctx.Err()
	}
	c.s.counts.requests.Add(1)
	req, err := http.NewRequestWithContext(ctx, method, c.s.balancer.url+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header = header
	req.Header.Set("Authorization", "Bearer "+m.apiKey)
	res, err := c.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	content, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return answer{}, err
	}
	if res.StatusCode == http.StatusBadGateway {
		c.s.counts.unreachable.Add(1)
	}
	return answer{
		body: content, code: res.StatusCode,
		replayed: res.Header.Get("Idempotent-Replayed") == "true",
	}, nil
}

// answerChallenge does what the cardholder's browser does on the bank's page.
func (c *clients) answerChallenge(ctx context.Context, page string, pass bool) {
	form := url.Values{"outcome": {"fail"}}
	if pass {
		form.Set("outcome", "succeed")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, page, strings.NewReader(form.Encode()))
	if err != nil {
		return
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := c.http.Do(req)
	if err != nil {
		return
	}
	_ = res.Body.Close()
}

// rest waits until every client has ended, or ctx does.
func (c *clients) rest(ctx context.Context) error {
	ended := make(chan struct{})
	go func() { c.running.Wait(); close(ended) }()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return errors.New("clients do not come to an end")
	}
}

// replay sends a request once more with its key.
func (c *clients) replay(ctx context.Context, p Payment) (answer, error) {
	a, err := c.fund(ctx, p, 0)
	if err != nil {
		return a, fmt.Errorf("replay %s: %w", p.Key, err)
	}
	return a, nil
}
