package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// opFundWallet is the operation that an idempotency key of this endpoint is
// bound to.
const opFundWallet = "POST /v1/wallet/fund"

// fundRequest is the body of POST /v1/wallet/fund.
type fundRequest struct {
	PaymentMethodID string `json:"payment_method_id" validate:"required,max=255"`
	Amount          string `json:"amount" validate:"fund_form,fund_min,fund_max"`
}

// fundResponse is the answer to it, when nothing went wrong. Balance is there
// only with completed, RedirectURL only with requires_action.
type fundResponse struct {
	Status      string `json:"status"`
	PaymentID   string `json:"payment_id"`
	Balance     string `json:"balance,omitempty"`
	RedirectURL string `json:"redirect_url,omitempty"`
}

// fundWallet answers POST /v1/wallet/fund: it charges a saved card and adds the
// money to the wallet. The payment and its job commit together before anybody
// waits, so from then on neither the client nor this process can undo it.
func (s *Server) fundWallet(c echo.Context, caller postgres.Caller) error {
	body, err := readObject(c)
	if err != nil {
		return err
	}
	req, issues := decodeFundRequest(body)
	if issues != nil {
		return errBodySchema(issues...)
	}
	key, err := idempotencyKey(c.Request().Header)
	if err != nil {
		return err
	}
	prefer := preferredWait(c.Request().Header)
	wait := prefer.orElse(s.FundWait)

	ctx := c.Request().Context()
	p, replayed, err := s.fund(ctx, caller, req, key, wait)
	if err != nil {
		return err
	}
	if replayed {
		c.Response().Header().Set(headerReplayed, "true")
		return s.answerFunding(c, p)
	}
	prefer.confirm(c)
	return s.answerFunding(c, s.waitFor(ctx, c, p, wait))
}

// decodeFundRequest finds everything that is wrong with a request at once.
func decodeFundRequest(body object) (fundRequest, []Issue) {
	var req fundRequest
	fields := []struct {
		name    string
		to      *string
		problem string
	}{
		{name: "payment_method_id", to: &req.PaymentMethodID},
		{name: "amount", to: &req.Amount},
	}
	for i, f := range fields {
		*f.to, fields[i].problem = body.text(f.name)
	}
	broken := brokenRules(req)
	var issues []Issue
	for _, f := range fields {
		if rule, ok := broken[f.name]; ok && f.problem == "" {
			f.problem = ruleMessage(rule)
		}
		if f.problem != "" {
			issues = append(issues, Issue{Path: []string{f.name}, Message: f.problem})
		}
	}
	return req, issues
}

// fund makes the payment, or finds the one that the key stands for. What speaks
// against a payment matters only when the key is new: a replay is answered even
// if the card is gone by now.
func (s *Server) fund(ctx context.Context, caller postgres.Caller, req fundRequest, key string, wait time.Duration) (wallet.Payment, bool, error) {
	p, err := s.newFunding(ctx, caller, req, key, wait)
	if err != nil && asError(err).Status >= http.StatusInternalServerError {
		return wallet.Payment{}, false, err
	}
	if err == nil {
		err = s.outage(caller.Mode)
	}
	if err == nil {
		return s.accept(ctx, caller, p)
	}
	prior, found, lookUpErr := s.recorded(ctx, caller, p.Idempotency, p.ID)
	if lookUpErr != nil || found {
		return prior, found, lookUpErr
	}
	return prior, false, err
}

// outage refuses what would have to wait for Stripe to come back, if Payments can
// tell that it is down. Nothing is left behind that could be charged hours later.
func (s *Server) outage(mode wallet.Mode) error {
	payments, ok := s.Payments.(interface {
		Outage(mode wallet.Mode) (retryAfter time.Duration, down bool)
	})
	if !ok {
		return nil
	}
	if retryAfter, down := payments.Outage(mode); down {
		return errUnavailable(errStripeDown).with(echo.HeaderRetryAfter, strconv.FormatInt(wholeSeconds(retryAfter), 10))
	}
	return nil
}

var errStripeDown = errors.New("stripe is down")

// newFunding makes the payment that a request asks for. Beside an error it still
// returns what the request's idempotency record would be.
func (s *Server) newFunding(ctx context.Context, caller postgres.Caller, req fundRequest, key string, wait time.Duration) (postgres.NewPayment, error) {
	amount, err := wallet.ParseFundAmount(req.Amount)
	if err != nil {
		return postgres.NewPayment{}, errInternal(err) // the rules let it pass
	}
	methodID, unreadable := wallet.ParseID(wallet.PrefixPaymentMethod, caller.Mode, req.PaymentMethodID)
	now := s.Now()
	p := postgres.NewPayment{
		ID:                  wallet.NewID(),
		WalletTransactionID: wallet.NewID(),
		OrganizationID:      caller.OrganizationID,
		Mode:                caller.Mode,
		WalletID:            caller.WalletID,
		PaymentMethodID:     methodID,
		Amount:              amount,
		Currency:            caller.Currency,
		CreatedAt:           now,
	}
	if key != "" {
		meant := req.PaymentMethodID
		if unreadable == nil {
			meant = methodID.String() // whichever way it was spelled
		}
		p.Idempotency = &postgres.IdempotencyRecord{
			Operation: opFundWallet, Key: key, Fingerprint: fundFingerprint(meant, amount), WaitUntil: now.Add(wait),
		}
	}
	if unreadable != nil {
		return p, errPaymentMethodNotFound()
	}
	own, err := s.lookups.cards.Do(ctx, postgres.CardOf{CustomerID: caller.CustomerID, PaymentMethodID: methodID})
	switch {
	case err != nil:
		return p, err
	case !own:
		return p, errPaymentMethodNotFound()
	case caller.WalletEnded:
		return p, errWalletNotFound()
	case caller.PrimaryEmail == "":
		return p, errFundingEmailRequired()
	case caller.Currency != wallet.USD:
		return p, errCurrencyUnsupported()
	}
	p.CreditAmount = wallet.CreditsFor(amount, caller.RateAmount, caller.Currency)
	return p, nil
}

// fundFingerprint stands for what a request means, however it was written.
func fundFingerprint(paymentMethodID string, cents int64) [32]byte {
	return sha256.Sum256([]byte(strconv.FormatInt(cents, 10) + " " + paymentMethodID))
}

// waitFor gives the payment as soon as there is something to tell of it, or as it
// stands when the time is over. Once a payment is accepted nothing can go wrong
// here: a caller who was told so would pay again.
func (s *Server) waitFor(ctx context.Context, c echo.Context, p wallet.Payment, d time.Duration) wallet.Payment {
	if p.Status.Answered() || d <= 0 {
		return p
	}
	waited, err := s.Payments.Wait(ctx, p.ID, d)
	if err != nil {
		s.Log.WarnContext(ctx, "payment not awaited",
			slog.String("payment_id", p.ID.String()), slog.String("request_id", RequestID(c)), slog.Any("error", err))
		return p
	}
	return waited
}

// answerFunding says how a payment went. It looks at nothing but the payment, so
// that the answer to a replay is the same to the byte.
func (s *Server) answerFunding(c echo.Context, p wallet.Payment) error {
	c.Set(KeyPaymentID, p.ID.String())
	if e := failureOf(p); e != nil {
		return e
	}
	answer := fundResponse{Status: lavaStatus(p.Status), PaymentID: spellPayment(p)}
	status := http.StatusOK
	switch p.Status {
	case wallet.PaymentSucceeded:
		answer.Balance = balanceAfter(p)
	case wallet.PaymentRequiresAction:
		answer.RedirectURL = p.RedirectURL
	default:
		status = http.StatusAccepted
		c.Response().Header().Set(echo.HeaderLocation, s.PublicURL+"/v1/payments/"+answer.PaymentID)
		c.Response().Header().Set(echo.HeaderRetryAfter, "2")
	}
	return writeJSON(c, status, answer)
}
