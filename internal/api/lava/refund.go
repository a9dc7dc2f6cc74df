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
	if key != "" {
		n.Idempotency = &postgres.IdempotencyRecord{
			Operation: opRefundPayment, Key: key, Fingerprint: refundFingerprint(p.ID, req), WaitUntil: now.Add(wait),
			ResultIDs: []wallet.ID{n.ID},
		}
	}
	ctx := c.Request().Context()
	r, replayed, err := d.refund(ctx, caller, n)
	if err != nil {
		return err
	}
	if replayed {
		api.SetReplayed(c)
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

// refund stores the refund, or finds the one that its idempotency key stands for, in
// which case the second result is true. A reason to refuse the refund counts only
// when the key is new. It goes on when the client leaves.
func (d *Dialect) refund(ctx context.Context, caller postgres.Caller, n postgres.NewRefund) (wallet.Refund, bool, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), api.StoreTimeout)
	defer cancel()
	prior, found, err := d.recordedRefund(ctx, caller, n)
	if err != nil || found {
		return prior, found, err
	}
	for range api.StoreTries {
		r, stored, err := d.storeRefund(ctx, n)
		if err != nil || stored {
			return r, false, err
		}
		prior, found, err := d.recordedRefund(ctx, caller, n)
		if err != nil || found {
			return prior, found && prior.ID != n.ID, err
		}
	}
	return wallet.Refund{}, false, fmt.Errorf("accept refund: idempotency key neither taken nor free %d times", api.StoreTries)
}

// storeRefund sends a refund to the database. When the connection breaks during the
// commit, the refund may be stored or not, and it is looked up.
func (d *Dialect) storeRefund(ctx context.Context, n postgres.NewRefund) (wallet.Refund, bool, error) {
	r, stored, err := d.Payments.RequestRefund(ctx, n)
	if !api.CommitUnknown(err) {
		return r, stored, err
	}
	for {
		r, lookUpErr := postgres.GetRefund(ctx, d.DB, n.ID)
		switch {
		case lookUpErr == nil:
			return r, true, nil
		case wallet.HasCode(lookUpErr, wallet.CodeRefundNotFound), !postgres.Unavailable(lookUpErr):
			return r, false, api.Unavailable(err)
		}
		select {
		case <-ctx.Done():
			return r, false, api.Unavailable(err)
		case <-time.After(api.StorePause):
		}
	}
}

// recordedRefund finds the refund that an idempotency key stands for.
func (d *Dialect) recordedRefund(ctx context.Context, caller postgres.Caller, n postgres.NewRefund) (wallet.Refund, bool, error) {
	if n.Idempotency == nil {
		return wallet.Refund{}, false, nil
	}
	record, _, found, err := postgres.LookUpIdempotencyKey(ctx, d.DB, caller.OrganizationID, caller.Mode, opRefundPayment, n.Idempotency.Key, n.Now)
	if err != nil || !found {
		return wallet.Refund{}, false, err
	}
	if record.Fingerprint != n.Idempotency.Fingerprint || len(record.ResultIDs) == 0 {
		return wallet.Refund{}, false, &wallet.Error{Code: wallet.CodeIdempotencyKeyReused}
	}
	r, err := postgres.GetRefund(ctx, d.DB, record.ResultIDs[0])
	if err != nil {
		return r, false, err
	}
	if r.ID != n.ID && !r.Answered() && n.Now.Before(record.WaitUntil) {
		return r, false, &wallet.Error{Code: wallet.CodeIdempotencyKeyInUse}
	}
	return r, true, nil
}

// answerRefund answers with the state of a refund: 200 once Stripe has accepted it,
// and 202 before.
func (d *Dialect) answerRefund(c echo.Context, r wallet.Refund) error {
	answer := newRefundResource(r)
	switch {
	case r.Status == wallet.RefundFailed, r.Status == wallet.RefundCanceled:
		message := "The refund failed."
		if r.FailureReason != "" {
			message = "The refund failed: " + r.FailureReason + "."
		}
		return &api.Error{Status: http.StatusUnprocessableEntity, Code: codeRefundFailed, Message: message, PaymentID: answer.PaymentID}
	case r.Answered():
		return api.WriteJSON(c, http.StatusOK, answer)
	default:
		c.Response().Header().Set(echo.HeaderLocation, d.PublicURL+"/v1/payments/"+answer.PaymentID)
		c.Response().Header().Set(echo.HeaderRetryAfter, "2")
		return api.WriteJSON(c, http.StatusAccepted, answer)
	}
}
