package api

import (
	"context"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// topUpWallet answers POST /api/v1/wallet_transactions: it charges for credits,
// grants some and takes some out, all or nothing. The answer shows the charge as
// pending, or as it stands when the time is over that the caller prefers to wait.
func (s *Server) topUpWallet(c echo.Context, caller postgres.Caller) error {
	body, err := readRoot(c, "wallet_transaction")
	if err != nil {
		return err
	}
	prefer := preferredWait(c.Request().Header)
	record, err := s.idempotencyRecord(c, body, prefer.wait)
	if err != nil {
		return err
	}
	request := decodeTopUp(body)
	request.OrganizationID, request.Mode = caller.OrganizationID, caller.Mode
	request.Idempotency, request.Now = record, s.Now()

	ctx := c.Request().Context()
	ids, made, err := s.topUp(ctx, caller, request)
	if err != nil {
		return err
	}
	if made == nil {
		c.Response().Header().Set(headerReplayed, "true")
	} else {
		prefer.confirm(c)
		if made.Purchase != nil && made.Purchase.Charged() {
			c.Set(KeyPaymentID, made.Purchase.ID.String())
			s.waitFor(ctx, c, wallet.Payment{ID: made.Purchase.ID, Status: wallet.PaymentCreated}, prefer.wait)
		}
	}
	list, err := postgres.GetTransactions(ctx, s.DB, ids)
	if err != nil {
		return err
	}
	return writeOne(c, "wallet_transactions", each(list, newWholeTransaction))
}

// topUp makes what is asked for, or finds what its idempotency key stands for. It
// returns the ids of the rows, and the top-up unless it was made before. What
// speaks against it matters only when the key is new.
func (s *Server) topUp(ctx context.Context, caller postgres.Caller, request topUpRequest) ([]wallet.ID, *postgres.PreparedTopUp, error) {
	prepared, err := postgres.PrepareTopUp(ctx, s.DB, request.TopUp, &request.invalid)
	if err == nil && request.Wants() && request.unstorable {
		err = errUnprocessable()
	}
	if err == nil {
		return s.makeTopUp(ctx, caller, prepared)
	}
	if asError(err).Status < http.StatusInternalServerError {
		ids, found, lookUpErr := s.results(ctx, caller, request.Idempotency, nil)
		if lookUpErr != nil || found {
			return ids, nil, lookUpErr
		}
	}
	return nil, nil, err
}

func (s *Server) makeTopUp(ctx context.Context, caller postgres.Caller, p postgres.PreparedTopUp) ([]wallet.ID, *postgres.PreparedTopUp, error) {
	ids := p.TransactionIDs()
	prior, err := s.makeOnce(ctx, caller, p.Idempotency, ids, func(ctx context.Context) (bool, error) {
		return s.Payments.TopUp(ctx, p)
	}, func(ctx context.Context) (bool, error) {
		list, err := postgres.GetTransactions(ctx, s.DB, ids)
		return len(ids) > 0 && len(list) == len(ids), err
	})
	if err != nil || prior != nil {
		return prior, nil, err
	}
	return ids, &p, nil
}

// topUpRequest is the body of POST /api/v1/wallet_transactions.
type topUpRequest struct {
	postgres.TopUp
	invalid wallet.ValidationError
	// unstorable: a value that Lago's validation lets pass and its model does not.
	unstorable bool
}

func decodeTopUp(body object) topUpRequest {
	var r topUpRequest
	walletID, _ := body.str("wallet_id")
	r.WalletID = parseUUID(walletID)
	r.decodeCredits(body)
	if id, ok := body.str("voided_transaction_id"); ok && strings.TrimSpace(id) != "" {
		r.VoidedTransactionID = new(parseUUID(id))
	}
	r.decodeName(body, "name")
	r.decodeMetadata(body, "metadata", maxTransactionMetadata)
	r.decodePriority(body, "priority")
	r.PurchaseOrderNumber = body.trimmed("purchase_order_number")
	r.unstorable = r.unstorable || utf8.RuneCountInString(r.PurchaseOrderNumber) > maxText
	r.InvoiceRequiresSuccessfulPayment = body.boolean("invoice_requires_successful_payment")
	r.IgnorePaidTopUpLimits = isTrue(body.boolean("ignore_paid_top_up_limits"))
	r.PaymentMethod = decodeMethod(body)
	if sections := decodeSections(body); sections != nil {
		r.Sections = *sections
	}
	return r
}

// maxText is how many characters most texts may have.
const maxText = 255

func (r *topUpRequest) decodeCredits(body object) {
	var ok bool
	if r.Paid, ok = body.amount(wallet.FieldPaidCredits); !ok {
		r.invalid.Add(wallet.FieldPaidCredits, wallet.InvalidPaidCredits, wallet.InvalidAmount)
	}
	if r.Granted, ok = body.amount(wallet.FieldGrantedCredits); !ok {
		r.invalid.Add(wallet.FieldGrantedCredits, wallet.InvalidGrantedCredits, wallet.InvalidAmount)
	}
	if r.Voided, ok = body.amount(wallet.FieldVoidedCredits); !ok {
		r.invalid.Add(wallet.FieldVoidedCredits, wallet.InvalidVoidedCredits, wallet.InvalidAmount)
	}
}

func (r *topUpRequest) decodeName(body object, name string) {
	if !body.given(name) {
		return
	}
	text, _ := body.str(name)
	switch {
	case kindOf(body[name]) != "string":
		r.invalid.Add("name", "invalid_value")
	case utf8.RuneCountInString(text) > maxText:
		r.invalid.Add("name", "too_long")
	case strings.TrimSpace(text) != "":
		r.Name = text
	}
}

func (r *topUpRequest) decodePriority(body object, name string) {
	priority, ok := body.integer(name)
	switch {
	case !ok:
	case priority < 1 || priority > wallet.DefaultPriority:
		r.unstorable = true
	default:
		r.Priority = int(priority)
	}
}

func (r *topUpRequest) decodeMetadata(body object, name string, most int) {
	pairs, problem := decodePairs(body[name], most)
	if problem != "" {
		r.invalid.Add("metadata", problem)
	}
	r.Metadata = pairs
}

func isTrue(b *bool) bool { return b != nil && *b }

// decodeMethod reads a payment method as the client names it.
func decodeMethod(body object) wallet.MethodRequest {
	method := body.object("payment_method")
	var r wallet.MethodRequest
	r.Type, _ = method.str("payment_method_type")
	if id, ok := method.str("payment_method_id"); ok {
		r.ID = &id
	}
	return r
}

// decodeSections reads what the client says of invoice custom sections, nil when
// that is nothing. Only the literal true skips them.
func decodeSections(body object) *postgres.SectionRequest {
	sections := body.object("invoice_custom_section")
	if sections == nil {
		return nil
	}
	skip, _ := sections.str("skip_invoice_custom_sections")
	return &postgres.SectionRequest{
		Skip:  skip == "true" && kindOf(sections["skip_invoice_custom_sections"]) == "boolean",
		Codes: sections.texts("invoice_custom_section_codes"),
	}
}
