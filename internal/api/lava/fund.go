package lava

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fundrail/fundrail/internal/api"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// opFundWallet is the operation in the idempotency records of this endpoint.
const opFundWallet = "POST /v1/wallet/fund"

// fundRequest is the body of POST /v1/wallet/fund.
type fundRequest struct {
	PaymentMethodID string `json:"payment_method_id" validate:"required,max=255"`
	Amount          string `json:"amount" validate:"fund_form,fund_min,fund_max"`
}

// fundResponse is the answer to a fund request that did not fail. Balance is set
// only with completed, and RedirectURL only with requires_action.
type fundResponse struct {
	Status      string `json:"status"`
	PaymentID   string `json:"payment_id"`
	Balance     string `json:"balance,omitempty"`
	RedirectURL string `json:"redirect_url,omitempty"`
}

// fundWallet answers POST /v1/wallet/fund: it charges a saved card and adds the
// money to the wallet. The payment and its job are committed together before the
// request waits, so it makes no difference if the client leaves or the process ends.
func (d *Dialect) fundWallet(c echo.Context, caller postgres.Caller) error {
	body, err := api.ReadObject(c)
	if err != nil {
		return err
	}
	req, issues := decodeFundRequest(body)
	if issues != nil {
		return api.InvalidBody(issues...)
	}
	key, err := api.IdempotencyKey(c.Request().Header)
	if err != nil {
		return err
	}
	prefer := api.PreferredWait(c.Request().Header)
	wait := prefer.OrElse(d.FundWait)

	done, err := d.fund(c.Request().Context(), caller, req, key, wait)
	switch {
	case err != nil:
		return err
	case done.Prior != nil:
		return d.answerReplay(c, done.Prior.PaymentID)
	case done.InDoubt:
		return d.answerFunding(c, done.Value) // there is nothing to wait for while the database is silent
	}
	prefer.Confirm(c)
	return d.answerFunding(c, d.WaitForPayment(c, done.Value, wait))
}

// answerReplay answers with the payment that the first request with the idempotency
// key made.
func (d *Dialect) answerReplay(c echo.Context, id wallet.ID) error {
	p, err := postgres.GetPayment(c.Request().Context(), d.LookUps(), id)
	if err != nil {
		return err
	}
	api.SetReplayed(c)
	return d.answerFunding(c, p)
}

// decodeFundRequest reads a request, and returns all its mistakes.
func decodeFundRequest(body api.Object) (fundRequest, []api.Issue) {
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
		*f.to, fields[i].problem = text(body, f.name)
	}
	broken := brokenRules(req)
	var issues []api.Issue
	for _, f := range fields {
		if rule, ok := broken[f.name]; ok && f.problem == "" {
			f.problem = ruleMessage(rule)
		}
		if f.problem != "" {
			issues = append(issues, api.Issue{Path: []string{f.name}, Message: f.problem})
		}
	}
	return req, issues
}

// fund stores the payment, or finds the one that the idempotency key stands for. A
// reason to refuse the payment counts only when the key is new: a replay is answered
// even if the card was removed since.
func (d *Dialect) fund(ctx context.Context, caller postgres.Caller, req fundRequest, key string, wait time.Duration) (api.Done[wallet.Payment], error) {
	p, err := d.newFunding(ctx, caller, req, key, wait)
	if err != nil && api.AsError(err).Status >= http.StatusInternalServerError {
		return api.Done[wallet.Payment]{}, err
	}
	if err == nil {
		err = d.outage(caller.Mode)
	}
	if err == nil {
		return api.Once(ctx, d.Server, caller, api.Act[wallet.Payment]{
			Record: p.Idempotency, IDs: []wallet.ID{p.ID},
			Attempt: func(ctx context.Context) (wallet.Payment, bool, error) {
				stored, err := d.Payments.Accept(ctx, p)
				return asAccepted(p), stored, err
			},
		})
	}
	prior, found, lookUpErr := d.Prior(ctx, caller, p.Idempotency, nil)
	if lookUpErr != nil {
		return api.Done[wallet.Payment]{}, lookUpErr
	}
	if found {
		return api.Done[wallet.Payment]{Prior: &prior}, nil
	}
	return api.Done[wallet.Payment]{}, err
}

// outage returns an error while Stripe is down. A payment that was stored now might
// be charged hours later.
func (d *Dialect) outage(mode wallet.Mode) error {
	retryAfter, down := d.Payments.Outage(mode)
	if !down {
		return nil
	}
	e := api.Unavailable(errStripeDown)
	e.Header.Set(echo.HeaderRetryAfter, strconv.FormatInt(api.WholeSeconds(retryAfter), 10))
	return e
}

var errStripeDown = errors.New("stripe is down")

// newFunding makes the payment that a request asks for. Its Idempotency is set even
// beside an error, so that the key can be looked up.
func (d *Dialect) newFunding(ctx context.Context, caller postgres.Caller, req fundRequest, key string, wait time.Duration) (postgres.NewPayment, error) {
	amount, err := wallet.ParseFundAmount(req.Amount)
	if err != nil {
		return postgres.NewPayment{}, api.Internal(err) // decodeFundRequest accepted it
	}
	methodID, unreadable := wallet.ParseID(wallet.PrefixPaymentMethod, caller.Mode, req.PaymentMethodID)
	now := d.Now()
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
			meant = methodID.String() // an id has two spellings
		}
		p.Idempotency = &postgres.IdempotencyRecord{
			Operation: opFundWallet, Key: key, Fingerprint: fundFingerprint(meant, amount), WaitUntil: now.Add(wait),
		}
	}
	if unreadable != nil {
		return p, errPaymentMethodNotFound()
	}
	own, err := d.OwnsCard(ctx, caller, methodID)
	switch {
	case err != nil:
		return p, err
	case !own:
		return p, errPaymentMethodNotFound()
	case caller.WalletEnded:
		return p, errWalletNotFound()
	case caller.PrimaryEmail == "":
		return p, &wallet.Error{Code: wallet.CodeFundingEmailRequired}
	case caller.Currency != wallet.USD:
		return p, errCurrencyUnsupported()
	}
	p.CreditAmount = wallet.CreditsFor(amount, caller.RateAmount, caller.Currency)
	if !wallet.HasRoom(caller.Balance, amount, caller.CreditsBalance.Add(p.CreditAmount)) {
		return p, errWalletFull()
	}
	return p, nil
}

// fundFingerprint is the same for all spellings of a request.
func fundFingerprint(paymentMethodID string, cents int64) [32]byte {
	return sha256.Sum256([]byte(strconv.FormatInt(cents, 10) + " " + paymentMethodID))
}

// answerFunding answers with the state of a payment. It depends on the payment
// alone, so that the answer to a replay is the same to the byte.
func (d *Dialect) answerFunding(c echo.Context, p wallet.Payment) error {
	c.Set(api.KeyPaymentID, p.ID.String())
	if e := failureOf(p); e != nil {
		return e
	}
	answer := fundResponse{Status: paymentStatus(p.Status), PaymentID: spellPayment(p)}
	status := http.StatusOK
	switch p.Status {
	case wallet.PaymentSucceeded:
		answer.Balance = balanceAfter(p)
	case wallet.PaymentRequiresAction:
		answer.RedirectURL = p.RedirectURL
	default:
		status = http.StatusAccepted
		c.Response().Header().Set(echo.HeaderLocation, d.PublicURL+"/v1/payments/"+answer.PaymentID)
		c.Response().Header().Set(echo.HeaderRetryAfter, "2")
	}
	return api.WriteJSON(c, status, answer)
}

// asAccepted returns a payment as it is right after it was stored.
func asAccepted(p postgres.NewPayment) wallet.Payment {
	return wallet.Payment{
		ID:                  p.ID,
		OrganizationID:      p.OrganizationID,
		Mode:                p.Mode,
		WalletID:            p.WalletID,
		WalletTransactionID: p.WalletTransactionID,
		PaymentMethodID:     &p.PaymentMethodID,
		Amount:              p.Amount,
		Currency:            p.Currency,
		OffSession:          p.OffSession,
		Status:              wallet.PaymentCreated,
		CreatedAt:           p.CreatedAt,
		UpdatedAt:           p.CreatedAt,
	}
}
