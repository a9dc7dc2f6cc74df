package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// patience is how long the story waits for something that comes by itself.
const patience = 10 * time.Second

// chapter is a part of the story.
type chapter struct {
	title string
	intro string
	tell  func(ctx context.Context, s *story) error
}

// story tells what is sent, what is answered and what is booked, and checks
// every statement that it makes.
type story struct {
	*app
	checks int
	failed []string
	http   *http.Client
	paint  func(color, text string) string
	seen   int64 // the last transfer that was told of
	stack  *stack
}

func newStory(a *app) *story { return &story{app: a, paint: a.painter(a.Stdout)} }

func (s *story) opening() {
	s.printf(`
%s
A merchant asks for money to be put into a customer's prepaid wallet. Fundrail
charges the saved card at Stripe and credits the wallet exactly once. Stripe is
simulated here; all the rest is what runs in production.

`, s.paint(bold, "Fundrail, the whole story"))
}

// started begins on a stack, which may have a past.
func (s *story) started(ctx context.Context, st *stack, took time.Duration) error {
	s.stack, s.http = st, &http.Client{Timeout: time.Minute}
	s.line("PostgreSQL, Stripe and Fundrail are up at %s (%s)", st.apiURL, round(took))
	past, err := s.transfers(ctx)
	for _, t := range past {
		s.seen = t.ID
	}
	return err
}

// transfers are those that were not told of yet.
func (s *story) transfers(ctx context.Context) ([]postgres.Transfer, error) {
	return postgres.ListTransfers(ctx, s.stack.pool, s.stack.seed.OrganizationID, wallet.ModeTest, s.seen)
}

func (s *story) tell(ctx context.Context, list []chapter) error {
	for i, c := range list {
		s.printf("\n%s\n   %s\n\n", s.paint(bold, fmt.Sprintf("%d. %s", i+1, c.title)), s.paint(faint, c.intro))
		if err := c.tell(ctx, s); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			s.fail(fmt.Sprintf("the chapter was told to its end: %v", err))
		}
	}
	if len(s.failed) > 0 {
		return fmt.Errorf("%d of %d checks did not hold:\n%s", len(s.failed), s.checks, strings.Join(s.failed, "\n"))
	}
	return nil
}

func (s *story) closing(took time.Duration) {
	s.printf("\n%s in %s\n", s.paint(green, fmt.Sprintf("All %d checks held,", s.checks)), round(took))
}

// line is the narrator's voice.
func (s *story) line(format string, args ...any) {
	s.printf("   %s\n", fmt.Sprintf(format, args...))
}

// fact is a line with a word in front that says what kind of fact it is.
func (s *story) fact(kind, format string, args ...any) {
	s.printf("   %s  %s\n", s.paint(cyan, fmt.Sprintf("%-8s", kind)), strings.TrimSpace(fmt.Sprintf(format, args...)))
}

// check states something and sees whether it is true.
func (s *story) check(ok bool, format string, args ...any) {
	if !ok {
		s.fail(fmt.Sprintf(format, args...))
		return
	}
	s.checks++
	s.printf("   %s %s\n", s.paint(green, "✓"), fmt.Sprintf(format, args...))
}

// same states that something is as it should be.
func (s *story) same(what string, got, want any) {
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		s.fail(fmt.Sprintf("%s is %s, but was %s", what, w, g))
		return
	}
	s.check(true, "%s is %v", what, want)
}

func (s *story) fail(statement string) {
	s.checks++
	s.failed = append(s.failed, statement)
	s.printf("   %s %s\n", s.paint(red, "✗"), statement)
}

// answer is what came back from the API.
type answer struct {
	body   []byte
	header http.Header
	status int
}

// text is a string field of a JSON answer, empty when there is none. Names lead
// into nested objects.
func (r answer) text(names ...string) string {
	var v any
	if json.Unmarshal(r.body, &v) != nil {
		return ""
	}
	for _, name := range names {
		object, _ := v.(map[string]any)
		v = object[name]
	}
	text, _ := v.(string)
	return text
}

// longQuery is what a reader can do without in the address of a challenge.
var longQuery = regexp.MustCompile(`\?[^" ]{40,}`)

// api calls the API as a merchant does, and tells of it.
func (s *story) api(ctx context.Context, method, path string, body any, headers ...string) (answer, error) {
	var content []byte
	if body != nil {
		var err error
		if content, err = json.Marshal(body); err != nil {
			return answer{}, err
		}
	}
	s.fact("sent", "%s %s  %s %s", method, path, content, s.paint(faint, strings.Join(headers, ": ")))
	began := s.Now()
	r, err := s.call(ctx, method, s.stack.apiURL+path, content, headers...)
	if err != nil {
		return r, err
	}
	s.fact("answered", "%d %s %s", r.status, longQuery.ReplaceAllString(strings.TrimSpace(string(r.body)), "?…"),
		s.paint(faint, "("+round(s.Now().Sub(began))+")"))
	return r, nil
}

// call is api without the telling.
func (s *story) call(ctx context.Context, method, url string, body []byte, headers ...string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Authorization", "Bearer "+s.stack.seed.APIKey)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return s.do(req)
}

func (s *story) do(req *http.Request) (answer, error) {
	res, err := s.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return answer{body: body, header: res.Header, status: res.StatusCode}, err
}

type fundRequest struct {
	PaymentMethodID string `json:"payment_method_id"`
	Amount          string `json:"amount"`
}

// fund asks for money from one of the seeded cards.
func (s *story) fund(ctx context.Context, card, amount string, headers ...string) (answer, error) {
	return s.api(ctx, http.MethodPost, "/v1/wallet/fund", fundRequest{s.stack.seed.paymentMethod(card), amount}, headers...)
}

// balance is the wallet's balance in cents, as the API shows it.
func (s *story) balance(ctx context.Context) (int64, error) {
	r, err := s.call(ctx, http.MethodGet, s.stack.apiURL+"/v1/wallet", nil)
	if err != nil {
		return 0, err
	}
	return cents(r.text("balance"))
}

// gained runs a part of the story and checks by how much the wallet grew.
func (s *story) gained(ctx context.Context, want int64, part func() error) error {
	before, err := s.balance(ctx)
	if err != nil {
		return err
	}
	if err := part(); err != nil {
		return err
	}
	after, err := s.balance(ctx)
	if err != nil {
		return err
	}
	what := "the wallet went from " + dollars(before) + " to " + dollars(before+want)
	if want == 0 {
		what = "the wallet still holds " + dollars(before)
	}
	if after != before+want {
		what += ", but it holds " + dollars(after)
	}
	s.check(after == before+want, "%s", what)
	return nil
}

// booked tells of the transfers since it was asked last, and checks how many
// there are.
func (s *story) booked(ctx context.Context, want int) error {
	list, err := s.transfers(ctx)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		s.fact("booked", "nothing")
	}
	for _, t := range list {
		s.seen = t.ID
		s.fact("booked", "%s %s from %s to %s %s", wallet.FormatMinor(t.Amount, t.Currency), t.Currency,
			t.DebitKind, t.CreditKind, s.paint(faint, "("+t.Kind+")"))
	}
	if len(list) != want {
		s.fail(fmt.Sprintf("%s booked, but there were %d", plural(want, "transfer was"), len(list)))
	}
	return nil
}

// moves tells of a payment's way through its states.
func (s *story) moves(ctx context.Context, spelled string) error {
	id, err := wallet.ParseID(wallet.PrefixPayment, wallet.ModeTest, spelled)
	if err != nil {
		return fmt.Errorf("payment %q: %w", spelled, err)
	}
	list, err := postgres.ListMoves(ctx, s.stack.pool, id)
	if err != nil {
		return err
	}
	way := []string{string(wallet.PaymentCreated)}
	for _, m := range list {
		way = append(way, string(m.To)+" "+s.paint(faint, "("+string(m.Cause.Kind)+" "+m.Cause.ID+")"))
	}
	s.fact("moved", "%s", strings.Join(way, " → "))
	return nil
}

// becomes waits until a payment has a status, and checks that it came to it.
func (s *story) becomes(ctx context.Context, payment, status string) (answer, error) {
	var last answer
	err := s.await(ctx, func() (bool, error) {
		var err error
		last, err = s.call(ctx, http.MethodGet, s.stack.apiURL+"/v1/payments/"+payment, nil)
		return last.text("status") == status, err
	})
	if err != nil {
		return last, err
	}
	s.same("the payment", last.text("status"), status)
	return last, nil
}

// await asks again and again until the answer is yes or patience is at its end.
func (s *story) await(ctx context.Context, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return nil // the check that follows says what is missing
			}
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// cents reads an amount that the API wrote.
func cents(amount string) (int64, error) {
	d, err := decimal.NewFromString(amount)
	if err != nil {
		return 0, fmt.Errorf("balance %q: %w", amount, err)
	}
	return d.Shift(2).IntPart(), nil
}

func dollars(cents int64) string { return wallet.FormatMinor(cents, wallet.USD) + " USD" }

func round(d time.Duration) string {
	if d >= time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Millisecond).String()
}
