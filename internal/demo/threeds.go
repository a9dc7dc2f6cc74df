package demo

import (
	"context"
	"net/http"
	"net/url"
	"strings"
)

// runChallenge passes a challenge, after which Stripe's webhook settles the payment.
func runChallenge(ctx context.Context, s *story) error {
	return s.gained(ctx, 40_00, func() error {
		payment, err := s.challenge(ctx, "40.00", "succeed")
		if err != nil {
			return err
		}
		s.line("Stripe's webhook arrives, and its job retrieves the payment from Stripe.")
		if _, err := s.becomes(ctx, payment, "completed"); err != nil {
			return err
		}
		if err := s.moves(ctx, payment); err != nil {
			return err
		}
		return s.booked(ctx, 1)
	})
}

// runFailedChallenge fails a challenge.
func runFailedChallenge(ctx context.Context, s *story) error {
	return s.gained(ctx, 0, func() error {
		payment, err := s.challenge(ctx, "50.00", "fail")
		if err != nil {
			return err
		}
		r, err := s.becomes(ctx, payment, "failed")
		if err != nil {
			return err
		}
		s.same("the error code", r.text("error", "code"), "payment_intent_authentication_failure")
		if err := s.moves(ctx, payment); err != nil {
			return err
		}
		return s.booked(ctx, 0)
	})
}

// challenge funds the wallet from the card that requires a challenge, and completes the
// challenge as a browser does, with the given outcome. It returns the payment's id.
func (s *story) challenge(ctx context.Context, amount, outcome string) (string, error) {
	payment, page, err := s.fundChallenged(ctx, amount)
	if err != nil {
		return "", err
	}
	return payment, s.browse(ctx, page, outcome, "/v1/payments/"+payment+"/return")
}

// fundChallenged funds the wallet from the card that requires a challenge. It returns
// the payment's id and the address of the challenge's page.
func (s *story) fundChallenged(ctx context.Context, amount string) (payment, page string, err error) {
	r, err := s.fund(ctx, "three_d_secure_required", amount)
	if err != nil {
		return "", "", err
	}
	s.same("the status", r.text("status"), "requires_action")
	s.check(strings.HasPrefix(r.text("redirect_url"), s.stack.StripeURL+"/"), "the redirect URL leads to Stripe")
	return r.text("payment_id"), r.text("redirect_url"), nil
}

// browse opens the challenge's page and presses the button for an outcome. The browser
// must end on Fundrail's page at wantPath.
func (s *story) browse(ctx context.Context, page, outcome, wantPath string) error {
	s.fact("opened", "%s", longQuery.ReplaceAllString(page, "?…"))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		return err
	}
	r, err := s.do(req)
	if err != nil {
		return err
	}
	s.check(r.status == http.StatusOK && strings.Contains(string(r.body), `value="`+outcome+`"`),
		"the page has a button for %q", outcome)
	form := url.Values{"outcome": {outcome}}
	req, err = http.NewRequestWithContext(ctx, http.MethodPost, page, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := s.http.Do(req) // follows the redirect
	if err != nil {
		return err
	}
	defer res.Body.Close()
	landed := res.Request.URL
	s.fact("pressed", "%q, and the browser lands on %s://%s%s", outcome, landed.Scheme, landed.Host, landed.Path)
	s.check(res.StatusCode == http.StatusOK && landed.Scheme+"://"+landed.Host == s.stack.APIURL && landed.Path == wantPath,
		"that is Fundrail's page for this payment")
	return nil
}
