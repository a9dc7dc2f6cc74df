package demo

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

	"github.com/fundrail/fundrail/internal/console"
	"github.com/fundrail/fundrail/internal/devstack"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// patience is how long the story waits for what jobs and webhooks do.
const patience = 10 * time.Second

// chapter is a part of the story.
type chapter struct {
	title string
	intro string
	run   func(ctx context.Context, s *story) error
}

// story prints requests, answers and transfers, and checks every statement about them.
type story struct {
	now   func() time.Time
	out   io.Writer
	paint console.Painter

	// Set by started.
	http   *http.Client
	stack  *devstack.Stack
	stripe *stripeView

	checks       int
	failed       []string
	lastTransfer int64 // the id of the newest transfer that was printed
}

func newStory(o Options) *story { return &story{now: o.Now, out: o.Out, paint: o.Paint} }

func (s *story) printf(format string, args ...any) { _, _ = fmt.Fprintf(s.out, format, args...) }

func (s *story) opening() {
	s.printf(`
%s
A merchant asks for money to be put into a customer's prepaid wallet. Fundrail
charges the saved card at Stripe and credits the wallet exactly once. Stripe is
simulated here; everything else is what runs in production.

`, s.paint(console.Bold, "Fundrail, the whole story"))
}

// started gives the story its stack. A stack that was kept has transfers already, which
// the story does not print.
func (s *story) started(ctx context.Context, stack *devstack.Stack, took time.Duration) error {
	s.http, s.stack = &http.Client{Timeout: time.Minute}, stack
	s.stripe = &stripeView{http: &http.Client{Timeout: patience}, server: stack.Simulator, url: stack.StripeURL}
	s.line("PostgreSQL, Stripe and Fundrail are up at %s (%s)", stack.APIURL, round(took))
	past, err := s.newTransfers(ctx)
	for _, t := range past {
		s.lastTransfer = t.ID
	}
	return err
}

// newTransfers returns the transfers that were not printed yet.
func (s *story) newTransfers(ctx context.Context) ([]postgres.Transfer, error) {
	return postgres.ListTransfers(ctx, s.stack.Pool, s.stack.Seed.OrganizationID, wallet.ModeTest, s.lastTransfer)
}

// tell runs the chapters. It returns an error that lists the checks that failed, if any.
func (s *story) tell(ctx context.Context, list []chapter) error {
	for i, c := range list {
		s.printf("\n%s\n   %s\n\n", s.paint(console.Bold, fmt.Sprintf("%d. %s", i+1, c.title)), s.paint(console.Faint, c.intro))
		if err := c.run(ctx, s); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			s.fail(fmt.Sprintf("the chapter failed: %v", err))
		}
	}
	if len(s.failed) > 0 {
		return fmt.Errorf("%d of %d checks did not hold:\n%s", len(s.failed), s.checks, strings.Join(s.failed, "\n"))
	}
	return nil
}

func (s *story) closing(took time.Duration) {
	s.printf("\n%s in %s\n", s.paint(console.Green, fmt.Sprintf("All %d checks held,", s.checks)), round(took))
}

// line prints a sentence.
func (s *story) line(format string, args ...any) {
	s.printf("   %s\n", fmt.Sprintf(format, args...))
}

// fact prints what happened, behind a word for its kind.
func (s *story) fact(kind, format string, args ...any) {
	s.printf("   %s  %s\n", s.paint(console.Cyan, fmt.Sprintf("%-8s", kind)), strings.TrimSpace(fmt.Sprintf(format, args...)))
}

// check prints a statement with a mark that says whether it holds.
func (s *story) check(ok bool, format string, args ...any) {
	if !ok {
		s.fail(fmt.Sprintf(format, args...))
		return
	}
	s.checks++
	s.printf("   %s %s\n", s.paint(console.Green, "✓"), fmt.Sprintf(format, args...))
}

// same checks that got and want print the same.
func (s *story) same(what string, got, want any) {
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		s.fail(fmt.Sprintf("%s is %s, not %s", what, g, w))
		return
	}
	s.check(true, "%s is %v", what, want)
}

// fail records what does not hold.
func (s *story) fail(statement string) {
	s.checks++
	s.failed = append(s.failed, statement)
	s.printf("   %s %s\n", s.paint(console.Red, "✗"), statement)
}

// answer is an HTTP response with its whole body.
type answer struct {
	body   []byte
	header http.Header
	status int
}

// text returns the string at a path of names in the JSON body, or an empty string if
// there is none.
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

// longQuery matches the query in the address of a challenge, which is too long to print.
var longQuery = regexp.MustCompile(`\?[^" ]{40,}`)

// callAndShow sends a request to the API and prints it with its answer.
func (s *story) callAndShow(ctx context.Context, method, path string, body any, headers ...string) (answer, error) {
	var content []byte
	if body != nil {
		var err error
		if content, err = json.Marshal(body); err != nil {
			return answer{}, err
		}
	}
	s.fact("sent", "%s %s  %s %s", method, path, content, s.paint(console.Faint, strings.Join(headers, ": ")))
	began := s.now()
	r, err := s.call(ctx, method, s.stack.APIURL+path, content, headers...)
	if err != nil {
		return r, err
	}
	s.fact("answered", "%d %s %s", r.status, longQuery.ReplaceAllString(strings.TrimSpace(string(r.body)), "?…"),
		s.paint(console.Faint, "("+round(s.now().Sub(began))+")"))
	return r, nil
}

// call sends a request with the merchant's key. Headers are pairs of name and value.
func (s *story) call(ctx context.Context, method, url string, body []byte, headers ...string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Authorization", "Bearer "+s.stack.Seed.APIKey)
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

// fund funds the wallet from one of the seeded cards.
func (s *story) fund(ctx context.Context, card, amount string, headers ...string) (answer, error) {
	return s.callAndShow(ctx, http.MethodPost, "/v1/wallet/fund", fundRequest{s.stack.Seed.PaymentMethod(card), amount}, headers...)
}

// balance returns the wallet's balance in cents, as the API shows it.
func (s *story) balance(ctx context.Context) (int64, error) {
	r, err := s.call(ctx, http.MethodGet, s.stack.APIURL+"/v1/wallet", nil)
	if err != nil {
		return 0, err
	}
	return cents(r.text("balance"))
}

// gained runs a part of the story and checks that the balance grew by want cents.
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
	switch {
	case after != before+want:
		s.fail("the balance is " + dollars(after) + ", not " + dollars(before+want))
	case want == 0:
		s.check(true, "the balance is still %s", dollars(after))
	default:
		s.check(true, "the balance went from %s to %s", dollars(before), dollars(after))
	}
	return nil
}

// booked prints the new transfers and checks how many there are.
func (s *story) booked(ctx context.Context, want int) error {
	list, err := s.newTransfers(ctx)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		s.fact("booked", "nothing")
	}
	for _, t := range list {
		s.lastTransfer = t.ID
		s.fact("booked", "%s %s from %s to %s %s", wallet.FormatMinor(t.Amount, t.Currency), t.Currency,
			t.DebitKind, t.CreditKind, s.paint(console.Faint, "("+t.Kind+")"))
	}
	if len(list) != want {
		s.fail(fmt.Sprintf("%s booked, not %d", console.Plural(len(list), "transfer"), want))
	}
	return nil
}

// moves prints the states that a payment went through, with their causes.
func (s *story) moves(ctx context.Context, payment string) error {
	id, err := wallet.ParseID(wallet.PrefixPayment, wallet.ModeTest, payment)
	if err != nil {
		return fmt.Errorf("payment %q: %w", payment, err)
	}
	list, err := postgres.ListMoves(ctx, s.stack.Pool, id)
	if err != nil {
		return err
	}
	states := []string{string(wallet.PaymentCreated)}
	for _, m := range list {
		states = append(states, string(m.To)+" "+s.paint(console.Faint, "("+string(m.Cause.Kind)+" "+m.Cause.ID+")"))
	}
	s.fact("moved", "%s", strings.Join(states, " → "))
	return nil
}

// becomes waits for a payment to have a status and checks that it has it.
func (s *story) becomes(ctx context.Context, payment, status string) (answer, error) {
	var last answer
	err := s.await(ctx, func() (bool, error) {
		var err error
		last, err = s.call(ctx, http.MethodGet, s.stack.APIURL+"/v1/payments/"+payment, nil)
		return last.text("status") == status, err
	})
	if err != nil {
		return last, err
	}
	s.same("the payment's status", last.text("status"), status)
	return last, nil
}

// await calls done until it returns true. It returns nil after patience as well.
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
				return nil // the check that follows fails
			}
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// cents reads an amount of the API, which is in dollars.
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
