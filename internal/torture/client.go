package torture

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/fundrail/fundrail/internal/wallet"
)

// clients simulates the merchants' programs and the cardholders.
type clients struct {
	s       *storm
	http    *http.Client
	slots   chan struct{} // limits the concurrent requests
	running sync.WaitGroup

	mu     sync.Mutex
	claims []claim
	// refused has the status of each fund request that a service answered with an
	// error, by its request id.
	refused map[string]int
}

// claim is an answer that a client got about a payment. Later answers must not
// contradict it.
type claim struct {
	merchant  int
	plan      Payment
	paymentID string
	status    string // as in the Lava dialect, or "declined" for 402
	code      int    // the HTTP status
	balance   string
	body      string
	sentAt    time.Time
	process   *process // that answered; nil if it is unknown
}

// unfinished reports whether the answer says that the write goes on. It is also the
// answer to a write in doubt.
func (c claim) unfinished() bool { return c.status == "processing" || c.status == "pending" }

// answer is the answer to a request.
type answer struct {
	code     int
	body     []byte
	replayed bool
	sentAt   time.Time
	process  *process // that answered; nil if it is unknown
}

// answerBody holds the fields of an answer that are checked.
type answerBody struct {
	Balance     string `json:"balance"`
	PaymentID   string `json:"payment_id"`
	RedirectURL string `json:"redirect_url"`
	Status      any    `json:"status"` // a string, or a number in an error
	// Transactions is set in the Lago dialect.
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
			Timeout:       balancerPatience + 3*time.Second,
			Transport:     &http.Transport{MaxIdleConnsPerHost: maxRequests},
		},
		refused: map[string]int{},
		slots:   make(chan struct{}, maxRequests),
	}
}

// pay starts one payment of the plan in the background.
func (c *clients) pay(ctx context.Context, p Payment) {
	for n := range p.Twins {
		c.running.Go(func() { c.play(ctx, p, n) })
	}
}

// play repeats a request until it is answered, as a correct client does, and then
// follows the payment until it is final.
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
			return // the outcome is unknown, and without a key a repetition could pay again
		}
		if !pause(ctx, time.Duration(200+100*min(attempt, 10))*time.Millisecond) {
			return
		}
	}
}

// settledBy records an answer and reports whether the client may stop repeating its
// request.
func (c *clients) settledBy(p Payment, a answer) bool {
	switch a.code {
	case http.StatusOK, http.StatusAccepted, http.StatusPaymentRequired:
		c.note(p, a)
		return true
	case http.StatusConflict, http.StatusTooManyRequests:
		return false
	case http.StatusInternalServerError:
		return true // the answer to a payment that could not be made
	default:
		return a.code < http.StatusInternalServerError
	}
}

// note records a claim.
func (c *clients) note(p Payment, a answer) {
	var content answerBody
	if json.Unmarshal(a.body, &content) != nil {
		return
	}
	if len(content.Transactions) > 0 {
		content.PaymentID, content.Status = content.Transactions[0].ID, content.Transactions[0].Status
	}
	if content.PaymentID == "" {
		return
	}
	status, ok := content.Status.(string)
	if !ok {
		status = "declined"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.claims = append(c.claims, claim{
		balance: content.Balance, body: string(a.body), code: a.code, merchant: p.Merchant, paymentID: content.PaymentID,
		plan: p, status: status, sentAt: a.sentAt, process: a.process,
	})
}

// follow follows a payment until it is final. The cardholder may answer the
// challenge, and the client reads the payment's status.
func (c *clients) follow(ctx context.Context, p Payment, a answer) {
	challenged := false
	for {
		var content answerBody
		if json.Unmarshal(a.body, &content) != nil || content.PaymentID == "" {
			return
		}
		if content.Status != "processing" && content.Status != "requires_action" {
			return
		}
		if content.Status == "requires_action" && !challenged && p.Challenge != challengeAbandon {
			challenged = true
			if !pause(ctx, p.After) {
				return
			}
			c.answerChallenge(ctx, content.RedirectURL, p.Challenge == challengePass)
		}
		if !pause(ctx, 700*time.Millisecond) {
			return
		}
		looked, err := c.look(ctx, p, content.PaymentID)
		if err == nil && looked.code == http.StatusOK {
			a = looked
			c.note(p, a)
		}
	}
}

// fund sends a fund request. It closes the connection after hangUp, unless that is
// zero.
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
	id := rand.Text()
	header.Set("X-Request-Id", id)
	a, err := c.call(ctx, m, http.MethodPost, path, header, body)
	if err == nil && a.process != nil && a.code >= http.StatusBadRequest {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.refused[id] = a.code
	}
	return a, err
}

// fundRequest returns the request for a payment in its dialect.
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
	neverRepeat(req)
	req.Header.Set("Authorization", "Bearer "+m.apiKey)
	sentAt := c.s.Now()
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
	a := answer{
		body: content, code: res.StatusCode, sentAt: sentAt,
		replayed: res.Header.Get("Idempotent-Replayed") == "true",
	}
	if n, err := strconv.Atoi(res.Header.Get(processHeader)); err == nil {
		a.process = c.s.serving[n]
	}
	return a, nil
}

// answerChallenge answers the challenge on the bank's page, as the cardholder's
// browser would.
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

// wait waits until every client has finished or ctx ends.
func (c *clients) wait(ctx context.Context) error {
	ended := make(chan struct{})
	go func() { c.running.Wait(); close(ended) }()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return errors.New("clients do not finish")
	}
}

// replay repeats a request with its key.
func (c *clients) replay(ctx context.Context, p Payment) (answer, error) {
	a, err := c.fund(ctx, p, 0)
	if err != nil {
		return a, fmt.Errorf("replay %s: %w", p.Key, err)
	}
	return a, nil
}
