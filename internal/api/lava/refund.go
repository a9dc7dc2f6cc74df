package lava

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fundrail/fundrail/internal/api"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// opRefundPayment is the operation in the idempotency records of this endpoint.
const opRefundPayment = "POST /v1/payments/{id}/refund"

// refundReasons are Stripe's.
var refundReasons = []string{"duplicate", "fraudulent", "requested_by_customer"}

// refundRequest is the body of POST /v1/payments/{id}/refund. The body and all its
// fields are optional.
type refundRequest struct {
	amount int64 // minor units; 0 is all that is left
	force  bool
	reason string
}

// refundResource is a refund. It is an addition to Lava's dialect.
type refundResource struct {
	RefundID      string `json:"refund_id"`
	PaymentID     string `json:"payment_id"`
	Status        string `json:"status"`
	Amount        string `json:"amount"`
	Reason        string `json:"reason,omitempty"`
	FailureReason string `json:"failure_reason,omitempty"`
	CreatedAt     string `json:"created_at"`
}

func newRefundResource(r wallet.Refund) refundResource {
	return refundResource{
		RefundID:      wallet.Spell(wallet.PrefixRefund, r.Mode, r.ID),
		PaymentID:     wallet.Spell(wallet.PrefixPayment, r.Mode, r.PaymentID),
		Status:        refundStatus(r.Status),
		Amount:        wallet.FormatMinor(r.Amount, r.Currency),
		Reason:        r.Reason,
		FailureReason: r.FailureReason,
		CreatedAt:     api.Timestamp(r.CreatedAt),
	}
}

// refundStatus returns the word for a refund's state. The words are those of
// payments.
func refundStatus(s wallet.RefundStatus) string {
	switch s {
	case wallet.RefundSucceeded:
		return "completed"
	case wallet.RefundCanceled, wallet.RefundFailed:
		return string(s)
	default:
		return string(wallet.PaymentProcessing)
	}
}

// refundPayment answers POST /v1/payments/{id}/refund: it sends money of a
// completed payment back to its card, and takes it out of the wallet.
func (d *Dialect) refundPayment(c echo.Context, caller postgres.Caller) error {
	body, err := api.ReadOptionalObject(c)
	if err != nil {
		return err
	}
	req, issues := decodeRefundRequest(body, caller.Currency)
	if issues != nil {
		return api.InvalidBody(issues...)
	}
	key, err := api.IdempotencyKey(c.Request().Header)
	if err != nil {
		return err
	}
	p, err := d.findPayment(c, caller)
	if err != nil {
		return err
	}
	prefer := api.PreferredWait(c.Request().Header)
	wait := prefer.OrElse(d.FundWait)
	now := d.Now()
	n := postgres.NewRefund{
		ID: wallet.NewID(), PaymentID: p.ID, Amount: req.amount, Force: req.force, Reason: req.reason, Now: now,
	}
	n.Idempotency = &postgres.IdempotencyRecord{
		Operation: opRefundPayment, Key: api.KeyOrOwn(key), Fingerprint: refundFingerprint(p.ID, req), WaitUntil: now.Add(wait),
		ResultIDs: []wallet.ID{n.ID},
	}
	r, state, err := d.refund(c.Request().Context(), caller, n, key != "")
	switch {
	case err != nil:
		return err
	case state == refundReplayed:
		api.SetReplayed(c)
		return d.answerRefund(c, r)
	case state == refundInDoubt:
		return d.answerRefund(c, r)
	}
	prefer.Confirm(c)
	return d.answerRefund(c, d.WaitForRefund(c, r, wait))
}

// decodeRefundRequest reads a request, and returns all its mistakes.
func decodeRefundRequest(body api.Object, currency wallet.Currency) (refundRequest, []api.Issue) {
	var (
		req    refundRequest
		issues []api.Issue
	)
	addIssue := func(field, message string) {
		issues = append(issues, api.Issue{Path: []string{field}, Message: message})
	}
	if _, ok := body["amount"]; ok {
		text, problem := text(body, "amount")
		if problem == "" {
			var err error
			req.amount, err = wallet.ParseAmount(text, currency)
			problem = amountProblem(err, currency)
		}
		if problem != "" {
			addIssue("amount", problem)
		}
	}
	if raw, ok := body["force"]; ok && json.Unmarshal(raw, &req.force) != nil || ok && api.KindOf(raw) != "boolean" {
		addIssue("force", "Expected boolean, received "+api.KindOf(raw))
	}
	if _, ok := body["reason"]; ok {
		text, problem := text(body, "reason")
		if problem == "" && !slices.Contains(refundReasons, text) {
			problem = "Must be one of " + strings.Join(refundReasons, ", ")
		}
		if problem != "" {
			addIssue("reason", problem)
		}
		req.reason = text
	}
	return req, issues
}

func amountProblem(err error, currency wallet.Currency) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, wallet.ErrAmountNotPositive):
		return "Amount must be at least " + wallet.FormatMinor(1, currency)
	case errors.Is(err, wallet.ErrAmountTooLarge):
		return "Amount is too large"
	default:
		return fmt.Sprintf("Amount must be a decimal string with at most %d decimal places", currency.Decimals())
	}
}

// refundFingerprint is the same for all spellings of a request.
func refundFingerprint(paymentID wallet.ID, req refundRequest) [32]byte {
	return sha256.Sum256(fmt.Appendf(nil, "%s %d %t %s", paymentID, req.amount, req.force, req.reason))
}

// refundState says where a refund comes from.
type refundState int

const (
	refundStored   refundState = iota
	refundInDoubt              // it may have been stored, and goes on
	refundReplayed             // the first request with the idempotency key made it
)

// refund stores the refund, or finds the one that its idempotency key stands for. A
// reason to refuse the refund counts only when the key is new.
func (d *Dialect) refund(ctx context.Context, caller postgres.Caller, n postgres.NewRefund, keyed bool) (wallet.Refund, refundState, error) {
	if keyed {
		prior, found, err := d.Prior(ctx, caller, n.Idempotency, nil)
		if err != nil {
			return wallet.Refund{}, 0, err
		}
		if found {
			return d.replayRefund(ctx, prior, n.Now)
		}
	}
	done, err := api.Once(ctx, d.Server, caller, api.Act[wallet.Refund]{
		Record: n.Idempotency, IDs: []wallet.ID{n.ID}, HoldsConnection: true,
		Attempt: func(ctx context.Context) (wallet.Refund, bool, error) { return d.Payments.RequestRefund(ctx, n) },
	})
	switch {
	case err != nil:
		return wallet.Refund{}, 0, err
	case done.Prior != nil:
		return d.replayRefund(ctx, *done.Prior, n.Now)
	case done.InDoubt:
		return done.Value, refundInDoubt, nil
	default:
		return done.Value, refundStored, nil
	}
}

// replayRefund finds the refund that the first request with the key made, unless that
// request may still be waiting for its answer.
func (d *Dialect) replayRefund(ctx context.Context, p api.Prior, now time.Time) (wallet.Refund, refundState, error) {
	if len(p.IDs) == 0 {
		return wallet.Refund{}, 0, &wallet.Error{Code: wallet.CodeIdempotencyKeyReused}
	}
	r, err := postgres.GetRefund(ctx, d.LookUps(), p.IDs[0])
	if err == nil && !r.Answered() && now.Before(p.WaitUntil) {
		err = &wallet.Error{Code: wallet.CodeIdempotencyKeyInUse}
	}
	return r, refundReplayed, err
}

// answerRefund answers with the state of a refund: 200 once Stripe has accepted it,
// and 202 before. The 422 of a refund that failed is not a refusal of the request: the
// refund is stored, so the answer has its id.
func (d *Dialect) answerRefund(c echo.Context, r wallet.Refund) error {
	answer := newRefundResource(r)
	switch {
	case r.Status == wallet.RefundFailed, r.Status == wallet.RefundCanceled:
		message := "The refund failed."
		if r.FailureReason != "" {
			message = "The refund failed: " + r.FailureReason + "."
		}
		return &api.Error{
			Status: http.StatusUnprocessableEntity, Code: codeRefundFailed, Message: message,
			PaymentID: answer.PaymentID, RefundID: answer.RefundID,
		}
	case r.Answered():
		return api.WriteJSON(c, http.StatusOK, answer)
	default:
		c.Response().Header().Set(echo.HeaderLocation, d.PublicURL+"/v1/payments/"+answer.PaymentID)
		c.Response().Header().Set(echo.HeaderRetryAfter, "2")
		return api.WriteJSON(c, http.StatusAccepted, answer)
	}
}
