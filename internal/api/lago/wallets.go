package lago

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/fundrail/fundrail/internal/api"
	"github.com/fundrail/fundrail/internal/lagojson"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/topup"
	"github.com/fundrail/fundrail/internal/wallet"
)

// walletJSON is a wallet as answers show it.
type walletJSON struct {
	lagojson.Wallet

	RecurringTransactionRules   []rule          `json:"recurring_transaction_rules"`
	AppliesTo                   scope           `json:"applies_to"`
	AppliedInvoiceCustomSection []sectionJSON   `json:"applied_invoice_custom_sections"`
	PaymentMethod               lagojson.Method `json:"payment_method"`
	// Metadata is left out when the wallet has none.
	Metadata json.RawMessage `json:"metadata,omitempty"`
}

// scope is what a wallet's credits may pay for. It is stored and shown, and not
// enforced.
type scope struct {
	FeeTypes            []string `json:"fee_types"`
	BillableMetricCodes []string `json:"billable_metric_codes"`
}

func newWalletJSON(w wallet.Wallet, now time.Time) (walletJSON, error) {
	r := walletJSON{
		Wallet:                      lagojson.NewWallet(w),
		AppliesTo:                   scope{FeeTypes: []string{}, BillableMetricCodes: []string{}},
		AppliedInvoiceCustomSection: newSections(w.Sections.List, w.OrganizationID),
		PaymentMethod:               lagojson.NewMethod(w.PaymentMethod),
		Metadata:                    w.Metadata,
	}
	if w.AppliesTo != nil {
		if err := json.Unmarshal(w.AppliesTo, &r.AppliesTo); err != nil {
			return r, fmt.Errorf("scope of wallet %s: %w", w.ID, err)
		}
	}
	rules, err := readRules(w)
	r.RecurringTransactionRules = slices.DeleteFunc(rules, func(r rule) bool { return !r.runs(now) })
	return r, err
}

// writeWallet answers with a wallet.
func (d *Dialect) writeWallet(c echo.Context, w wallet.Wallet) error {
	shown, err := newWalletJSON(w, d.Now())
	if err != nil {
		return err
	}
	return writeOne(c, "wallet", shown)
}

// walletRef returns the reference of the wallet in the path: its id, or the
// customer's external id and the wallet's code.
func walletRef(c echo.Context, caller postgres.Caller) postgres.WalletRef {
	ref := postgres.WalletRef{OrganizationID: caller.OrganizationID, Mode: caller.Mode}
	if c.Param("code") == "" {
		ref.ID = pathID(c)
		return ref
	}
	ref.ExternalCustomerID, ref.Code = pathText(c, "external_id"), pathText(c, "code")
	return ref
}

// changedWallet returns the reference of the wallet in the path for a request that
// changes it. One that no wallet can have is not found: a write would claim an
// idempotency key for it first, and its path may be too long for that.
func (d *Dialect) changedWallet(c echo.Context, caller postgres.Caller) (postgres.WalletRef, error) {
	ref := walletRef(c, caller)
	if ref.ID != (wallet.ID{}) || ref.ExternalCustomerID != "" && ref.Code != "" {
		return ref, nil
	}
	_, err := postgres.FindWallet(c.Request().Context(), d.LookUps(), ref, d.Now())
	return ref, err
}

// showWallet answers GET /api/v1/wallets/{id}, and the same by code.
func (d *Dialect) showWallet(c echo.Context, caller postgres.Caller) error {
	w, err := postgres.FindWallet(c.Request().Context(), d.LookUps(), walletRef(c, caller), d.Now())
	if err != nil {
		return err
	}
	return d.writeWallet(c, w)
}

// listWallets answers GET /api/v1/wallets, and the same under a customer.
func (d *Dialect) listWallets(c echo.Context, caller postgres.Caller) error {
	ctx, query := c.Request().Context(), c.QueryParams()
	f := postgres.WalletFilter{
		OrganizationID: caller.OrganizationID, Mode: caller.Mode, Currency: wallet.Currency(storable(query.Get("currency"))),
	}
	externalID := storable(query.Get("external_customer_id"))
	named := query.Get("external_customer_id") != ""
	if c.Param("external_id") != "" {
		externalID, named = pathText(c, "external_id"), true
	}
	if named {
		customer, err := postgres.FindCustomer(ctx, d.LookUps(), caller.OrganizationID, caller.Mode, externalID)
		if err != nil {
			return err
		}
		f.CustomerID = customer.ID
	}
	for _, code := range query["billing_entity_codes[]"] {
		if code != wallet.DefaultBillingEntity {
			return errBillingEntityNotFound()
		}
	}
	list, total, err := postgres.ListWallets(ctx, d.LookUps(), f, pageOf(c), d.Now())
	if err != nil {
		return err
	}
	shown := make([]walletJSON, len(list))
	for i, w := range list {
		if shown[i], err = newWalletJSON(w, d.Now()); err != nil {
			return err
		}
	}
	return writeList(c, "wallets", shown, total)
}

func errBillingEntityNotFound() error {
	return &wallet.Error{Code: wallet.CodeBillingEntityNotFound, Message: "Billing entity not found."}
}

// terminateWallet answers DELETE /api/v1/wallets/{id}, and the same by code. It
// succeeds for a wallet that is terminated already.
func (d *Dialect) terminateWallet(c echo.Context, caller postgres.Caller) error {
	ref, err := d.changedWallet(c, caller)
	if err != nil {
		return err
	}
	w, err := api.OnceTx(c, d.Server, caller, nil, func(ctx context.Context, tx pgx.Tx) (wallet.Wallet, []wallet.ID, error) {
		w, _, err := postgres.TerminateWallet(ctx, tx, ref, d.Now())
		return w, []wallet.ID{w.ID}, err
	}, d.foundWallet(ref))
	if err != nil {
		return err
	}
	return d.writeWallet(c, w)
}

// createWallet answers POST /api/v1/wallets, and the same under a customer. The
// opening credits are stored in the same transaction. The answer shows the wallet as
// it was before them, as in Lago.
func (d *Dialect) createWallet(c echo.Context, caller postgres.Caller) error {
	body, err := readRoot(c, "wallet")
	if err != nil {
		return err
	}
	record, err := d.RequestRecord(c, caller.Mode, body, 0)
	if err != nil {
		return err
	}
	n, opening, err := d.decodeNewWallet(c, caller, body)
	if err != nil {
		return err
	}
	record.ResultIDs = []wallet.ID{n.Wallet.ID}
	ctx := c.Request().Context()
	done, err := api.Once(ctx, d.Server, caller, api.Act[wallet.Wallet]{
		Record: record, IDs: record.ResultIDs, HoldsConnection: true,
		Attempt: func(ctx context.Context) (wallet.Wallet, bool, error) {
			return d.Payments.CreateWallet(ctx, n, opening.Request, record, &opening.invalid)
		},
	})
	if err != nil {
		return err
	}
	if done.Prior == nil {
		return d.writeWallet(c, done.Value)
	}
	ref := postgres.WalletRef{OrganizationID: caller.OrganizationID, Mode: caller.Mode, ID: done.Prior.IDs[0]}
	w, err := postgres.FindWallet(ctx, d.LookUps(), ref, d.Now())
	if err != nil {
		return err
	}
	api.SetReplayed(c)
	return d.writeWallet(c, w)
}

// decodeNewWallet reads a wallet and its opening credits. Mistakes in both are added
// to the opening's invalid.
func (d *Dialect) decodeNewWallet(c echo.Context, caller postgres.Caller, body object) (postgres.NewWallet, topUpRequest, error) {
	now := d.Now()
	n := postgres.NewWallet{
		Wallet: wallet.Wallet{
			ID: wallet.NewID(), OrganizationID: caller.OrganizationID, Mode: caller.Mode, CreatedAt: now,
			BillingEntityCode: wallet.DefaultBillingEntity, Priority: wallet.DefaultPriority,
		},
		PaymentMethod: decodeMethod(body),
		Limit:         d.walletLimit(),
	}
	w := &n.Wallet
	externalID, _ := body.str("external_customer_id")
	if c.Param("external_id") != "" {
		externalID = pathText(c, "external_id")
		if _, err := postgres.FindCustomer(c.Request().Context(), d.LookUps(), caller.OrganizationID, caller.Mode, externalID); err != nil {
			return n, topUpRequest{}, err
		}
	}
	w.ExternalCustomerID = externalID
	if err := checkBillingEntity(body); err != nil {
		return n, topUpRequest{}, err
	}
	if sections := decodeSections(body); sections != nil {
		n.SkipSections, n.SectionCodes = sections.Skip, sections.Codes
	}
	if rate, ok := body.str("rate_amount"); ok {
		w.RateAmount, _ = wallet.ParseRate(rate) // a rate of 0 is refused later
	}
	currency, _ := body.str("currency")
	w.Currency = wallet.Currency(currency)

	opening := d.decodeOpening(caller, body)
	ch := walletChange{body: body, invalid: &opening.invalid, now: now, opening: opening, created: true}
	err := ch.apply(w)
	return n, opening, err
}

// decodeOpening reads the opening credits of a wallet.
func (d *Dialect) decodeOpening(caller postgres.Caller, body object) topUpRequest {
	var r topUpRequest
	r.OrganizationID, r.Mode = caller.OrganizationID, caller.Mode
	r.IDs, r.Now = topup.NewIDs(wallet.NewID), d.Now()
	r.decodeCredits(body.only("paid_credits", "granted_credits"))
	r.decodeName(body, "transaction_name")
	r.decodeMetadata(body, "transaction_metadata", maxOpeningMetadata)
	r.decodePriority(body, "transaction_priority")
	if r.unstorable {
		r.invalid.Add(wallet.FieldPriority, wallet.ProblemInvalid)
	}
	r.IgnorePaidTopUpLimits = isTrue(body.boolean("ignore_paid_top_up_limits_on_creation"))
	return r
}

// checkBillingEntity refuses any billing entity but the default one, which is the
// only one.
func checkBillingEntity(body object) error {
	if code := body.trimmed("billing_entity_code"); code != "" && code != wallet.DefaultBillingEntity {
		return errBillingEntityNotFound()
	}
	if body.trimmed("billing_entity_id") != "" {
		return errBillingEntityNotFound()
	}
	return nil
}

// updateWallet answers PUT /api/v1/wallets/{id}, and the same by code. The rate,
// the currency and credits cannot change.
func (d *Dialect) updateWallet(c echo.Context, caller postgres.Caller) error {
	body, err := readRoot(c, "wallet")
	if err != nil {
		return err
	}
	if err := checkBillingEntity(body); err != nil {
		return err
	}
	ref, err := d.changedWallet(c, caller)
	if err != nil {
		return err
	}
	now := d.Now()
	w, err := api.OnceTx(c, d.Server, caller, body, func(ctx context.Context, tx pgx.Tx) (wallet.Wallet, []wallet.ID, error) {
		v := &wallet.ValidationError{} // each attempt finds the mistakes anew
		ch := walletChange{body: body, invalid: v, now: now}
		change := postgres.WalletChange{Change: ch.apply, Sections: decodeSections(body)}
		if body.object("payment_method") != nil {
			change.PaymentMethod = new(decodeMethod(body))
		}
		w, err := postgres.UpdateWallet(ctx, tx, ref, change, v, now)
		return w, []wallet.ID{w.ID}, err
	}, d.foundWallet(ref))
	if err != nil {
		return err
	}
	return d.writeWallet(c, w)
}

// walletChange is a request that creates or changes a wallet.
type walletChange struct {
	body    object
	invalid *wallet.ValidationError
	now     time.Time
	opening topUpRequest
	created bool
}

// apply sets on a wallet what the client sent. Mistakes are added to invalid.
func (ch walletChange) apply(w *wallet.Wallet) error {
	ch.texts(w)
	ch.amounts(w)
	ch.expiration(w)
	ch.scope(w)
	ch.metadata(w)
	return ch.rules(w)
}

func (ch walletChange) texts(w *wallet.Wallet) {
	for field, to := range map[wallet.Field]*string{fieldName: &w.Name, fieldOrderNumber: &w.PurchaseOrderNumber} {
		name := string(field) // the same in the request
		if _, ok := ch.body[name]; ok {
			*to = ch.body.trimmed(name)
		}
		if utf8.RuneCountInString(*to) > maxText {
			ch.invalid.Add(field, problemValueTooLong)
		}
	}
	if code := ch.body.trimmed("code"); code != "" {
		w.Code = code
		if utf8.RuneCountInString(code) > maxText {
			ch.invalid.Add(wallet.FieldCode, problemValueTooLong)
		}
	}
	setBool(&w.InvoiceRequiresSuccessfulPayment, ch.body, "invoice_requires_successful_payment")
}

func (ch walletChange) amounts(w *wallet.Wallet) {
	if priority, ok := ch.body.integer("priority"); ok {
		w.Priority = int(min(max(priority, -1), wallet.DefaultPriority+1)) // a value out of bounds stays out of bounds
		if w.Priority == 0 {
			w.Priority = -1 // because 0 means that none is given
		}
	}
	for name, to := range map[string]**int64{
		"paid_top_up_min_amount_cents": &w.PaidTopUpMinAmount, "paid_top_up_max_amount_cents": &w.PaidTopUpMaxAmount,
	} {
		if _, ok := ch.body[name]; !ok {
			continue
		}
		*to = nil
		if amount, ok := ch.body.integer(name); ok {
			*to = &amount
		}
	}
}

func (ch walletChange) expiration(w *wallet.Wallet) {
	if _, ok := ch.body["expiration_at"]; !ok {
		return
	}
	w.ExpirationAt = nil
	text, ok := ch.body.str("expiration_at")
	if !ok || strings.TrimSpace(text) == "" {
		return
	}
	at, ok := parseTime(text)
	if !ok {
		ch.invalid.Add(wallet.FieldExpirationAt, wallet.ProblemInvalid)
		return
	}
	w.ExpirationAt = &at
}

// feeTypes are the types of fee that a wallet can be limited to.
var feeTypes = []string{"charge", "commitment", "subscription"}

func (ch walletChange) scope(w *wallet.Wallet) {
	limits := ch.body.object("applies_to")
	if limits == nil {
		return
	}
	s := scope{FeeTypes: limits.texts("fee_types"), BillableMetricCodes: limits.texts("billable_metric_codes")}
	if slices.ContainsFunc(s.FeeTypes, func(t string) bool { return !slices.Contains(feeTypes, t) }) {
		if ch.created {
			ch.invalid.Add(fieldAppliesTo, problemLimitations)
		} else {
			ch.invalid.Add(fieldAllowedFeeTypes, problemFeeTypes)
		}
		return
	}
	w.AppliesTo, _ = json.Marshal(s) // strings only
}

func (ch walletChange) metadata(w *wallet.Wallet) {
	raw, ok := ch.body["metadata"]
	if !ok {
		return
	}
	w.Metadata = nil
	if api.KindOf(raw) == "null" {
		return
	}
	metadata, problem := decodeWalletMetadata(raw)
	if problem != "" {
		ch.invalid.Add(fieldMetadata, problem)
		return
	}
	w.Metadata, _ = json.Marshal(metadata) // strings and nulls only
}

func (ch walletChange) rules(w *wallet.Wallet) error {
	if ch.body.list("recurring_transaction_rules") == nil {
		return nil
	}
	before, err := readRules(*w)
	if err != nil {
		return err
	}
	rules, problem := decodeRules(ch.body, before, *w, ch.opening, ch.now)
	if problem != "" {
		ch.invalid.Add(fieldRules, problem)
		return nil
	}
	w.RecurringTransactionRules, err = json.Marshal(rules)
	return err
}
