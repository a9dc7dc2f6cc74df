package lago

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/fundrail/fundrail/internal/api"
	"github.com/fundrail/fundrail/internal/lagojson"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/topup"
	"github.com/fundrail/fundrail/internal/wallet"
)

// transactionJSON is a wallet transaction. RedirectURL and PaymentID are additions
// to the dialect. They are set while the cardholder has to complete a challenge.
type transactionJSON struct {
	lagojson.Transaction

	// Sections are not shown in lists.
	Sections      *[]sectionJSON  `json:"applied_invoice_custom_sections,omitempty"`
	PaymentMethod lagojson.Method `json:"payment_method"`

	RedirectURL string     `json:"redirect_url,omitempty"`
	PaymentID   *wallet.ID `json:"payment_id,omitempty"`
}

func newTransaction(t wallet.Transaction) transactionJSON {
	r := transactionJSON{Transaction: lagojson.NewTransaction(t), PaymentMethod: lagojson.NewMethod(t.PaymentMethod)}
	if p := t.Payment; p != nil && p.Status == wallet.PaymentRequiresAction {
		r.RedirectURL, r.PaymentID = p.RedirectURL, &p.ID
	}
	return r
}

// newWholeTransaction returns newTransaction with the sections.
func newWholeTransaction(t wallet.Transaction) transactionJSON {
	r := newTransaction(t)
	sections := newSections(t.Sections.List, t.OrganizationID)
	r.Sections = &sections
	return r
}

// each returns show of each value of a list.
func each[T, R any](list []T, show func(T) R) []R {
	shown := make([]R, len(list))
	for i, v := range list {
		shown[i] = show(v)
	}
	return shown
}

// showTransaction answers GET /api/v1/wallet_transactions/{id}.
func (d *Dialect) showTransaction(c echo.Context, caller postgres.Caller) error {
	t, err := d.findTransaction(c, caller)
	if err != nil {
		return err
	}
	return writeOne(c, "wallet_transaction", newWholeTransaction(t))
}

// findTransaction finds the wallet transaction of the path.
func (d *Dialect) findTransaction(c echo.Context, caller postgres.Caller) (wallet.Transaction, error) {
	return postgres.GetTransaction(c.Request().Context(), d.LookUps(), caller.OrganizationID, caller.Mode, pathID(c))
}

// listTransactions answers GET /api/v1/wallets/{id}/wallet_transactions.
func (d *Dialect) listTransactions(c echo.Context, caller postgres.Caller) error {
	ctx := c.Request().Context()
	w, err := postgres.FindWallet(ctx, d.LookUps(), walletRef(c, caller), d.Now())
	if err != nil {
		return err
	}
	list, total, err := postgres.ListTransactions(ctx, d.LookUps(), w.ID, transactionFilter(c.QueryParams()), pageOf(c))
	if err != nil {
		return err
	}
	return writeList(c, "wallet_transactions", each(list, newTransaction), total)
}

// transactionFilter reads which transactions a request asks for. An unknown value is
// ignored, as in Lago.
func transactionFilter(query url.Values) postgres.TransactionFilter {
	f := postgres.TransactionFilter{Metadata: map[string]string{}}
	switch v := wallet.TransactionStatus(query.Get("status")); v {
	case wallet.TransactionFailed, wallet.TransactionPending, wallet.TransactionSettled:
		f.Status = v
	}
	switch v := wallet.TransactionKind(query.Get("transaction_status")); v {
	case wallet.TransactionGranted, wallet.TransactionInvoiced, wallet.TransactionPurchased, wallet.TransactionVoided:
		f.Kind = v
	}
	switch v := wallet.TransactionType(query.Get("transaction_type")); v {
	case wallet.TransactionInbound, wallet.TransactionOutbound:
		f.Type = v
	}
	for name, values := range query {
		key, ok := strings.CutPrefix(name, "metadata[")
		key, closed := strings.CutSuffix(key, "]")
		value := storable(values[len(values)-1])
		if ok && closed && strings.TrimSpace(value) != "" && storable(key) != "" && !strings.ContainsAny(key, "[]") {
			f.Metadata[key] = value
		}
	}
	return f
}

// consumptionJSON is what a debit took from a credit.
type consumptionJSON struct {
	LagoID       wallet.ID        `json:"lago_id"`
	AmountCents  int64            `json:"amount_cents"`
	CreditAmount lagojson.Credits `json:"credit_amount"`
	CreatedAt    lagojson.Moment  `json:"created_at"`
	Transaction  transactionJSON  `json:"wallet_transaction"`
}

func newConsumption(x wallet.Consumption) consumptionJSON {
	return consumptionJSON{
		LagoID: x.ID, AmountCents: x.Amount, CreditAmount: lagojson.Credits(x.Credits()), CreatedAt: lagojson.Moment(x.CreatedAt),
		Transaction: newTransaction(x.Transaction),
	}
}

// listConsumptions answers GET /api/v1/wallet_transactions/{id}/consumptions: the
// debits that were taken from an inbound transaction.
func (d *Dialect) listConsumptions(c echo.Context, caller postgres.Caller) error {
	t, err := d.findTraceable(c, caller, wallet.TransactionInbound)
	if err != nil {
		return err
	}
	list, total, err := postgres.ListConsumptions(c.Request().Context(), d.LookUps(), t.ID, pageOf(c))
	if err != nil {
		return err
	}
	return writeList(c, "wallet_transaction_consumptions", each(list, newConsumption), total)
}

// listFundings answers GET /api/v1/wallet_transactions/{id}/fundings: the credits
// that an outbound transaction was taken from.
func (d *Dialect) listFundings(c echo.Context, caller postgres.Caller) error {
	t, err := d.findTraceable(c, caller, wallet.TransactionOutbound)
	if err != nil {
		return err
	}
	list, total, err := postgres.ListFundings(c.Request().Context(), d.LookUps(), t.ID, pageOf(c))
	if err != nil {
		return err
	}
	return writeList(c, "wallet_transaction_fundings", each(list, newConsumption), total)
}

// findTraceable finds the transaction of the path. It must have the wanted direction,
// and a wallet that records which credits each debit was taken from.
func (d *Dialect) findTraceable(c echo.Context, caller postgres.Caller, want wallet.TransactionType) (wallet.Transaction, error) {
	t, err := d.findTransaction(c, caller)
	switch {
	case err != nil:
		return t, err
	case !t.Traceable:
		return t, wallet.Invalid(fieldWalletOfPath, problemNotTraceable)
	case t.Type != want:
		return t, wallet.Invalid(fieldTransactionType, problemTransactionType)
	}
	return t, nil
}

// topUpWallet answers POST /api/v1/wallet_transactions: it charges for credits,
// grants and voids credits, all or nothing. The charge is pending in the answer,
// unless the caller prefers to wait.
func (d *Dialect) topUpWallet(c echo.Context, caller postgres.Caller) error {
	body, err := readRoot(c, "wallet_transaction")
	if err != nil {
		return err
	}
	prefer := api.PreferredWait(c.Request().Header)
	record, err := d.RequestRecord(c, caller.Mode, body, prefer.Wait)
	if err != nil {
		return err
	}
	request := decodeTopUp(body)
	request.OrganizationID, request.Mode = caller.OrganizationID, caller.Mode
	request.IDs, request.Now = topup.NewIDs(wallet.NewID), d.Now()

	ctx := c.Request().Context()
	done, err := d.topUp(ctx, caller, request, record)
	if err != nil {
		return err
	}
	if done.Prior != nil {
		list, err := postgres.GetTransactions(ctx, d.LookUps(), done.Prior.IDs)
		if err != nil {
			return err
		}
		api.SetReplayed(c)
		return writeOne(c, "wallet_transactions", each(list, newWholeTransaction))
	}
	return d.answerTopUp(c, done.Value, done.InDoubt, prefer)
}

// answerTopUp answers with the wallet transactions of a top-up. While it is in doubt,
// and when they cannot be read, all of them are shown as pending: an error would say
// that nothing happened.
func (d *Dialect) answerTopUp(c echo.Context, p postgres.PreparedTopUp, inDoubt bool, prefer api.Preference) error {
	pending := p.Pending()
	if p.Purchase != nil && p.Purchase.Charged() {
		c.Set(api.KeyPaymentID, p.Purchase.ID.String())
	}
	if inDoubt {
		return writeOne(c, "wallet_transactions", each(pending, newWholeTransaction))
	}
	prefer.Confirm(c)
	if p.Purchase != nil && p.Purchase.Charged() {
		d.WaitForPayment(c, wallet.Payment{ID: p.Purchase.ID, Status: wallet.PaymentCreated}, prefer.Wait)
	}
	list, err := postgres.GetTransactions(c.Request().Context(), d.LookUps(), p.TransactionIDs())
	if err != nil || len(list) < len(pending) {
		d.Log.WarnContext(c.Request().Context(), "top-up not read back",
			slog.String("request_id", api.RequestID(c)), slog.Any("error", err))
		list = pending
	}
	return writeOne(c, "wallet_transactions", each(list, newWholeTransaction))
}

// topUp stores the top-up, or finds the one that its idempotency key stands for. A
// reason to refuse the top-up counts only when the key is new.
func (d *Dialect) topUp(ctx context.Context, caller postgres.Caller, request topUpRequest, record *postgres.IdempotencyRecord) (api.Done[postgres.PreparedTopUp], error) {
	prepared, err := postgres.PrepareTopUp(ctx, d.LookUps(), request.Request, &request.invalid)
	if err == nil && request.Wanted() && request.unstorable {
		err = errUnprocessable()
	}
	if err == nil {
		return d.storeTopUp(ctx, caller, prepared, record)
	}
	if api.AsError(err).Status < http.StatusInternalServerError {
		prior, found, lookUpErr := d.Prior(ctx, caller, record, nil)
		if lookUpErr != nil {
			return api.Done[postgres.PreparedTopUp]{}, lookUpErr
		}
		if found {
			return api.Done[postgres.PreparedTopUp]{Prior: &prior}, nil
		}
	}
	return api.Done[postgres.PreparedTopUp]{}, err
}

func (d *Dialect) storeTopUp(ctx context.Context, caller postgres.Caller, p postgres.PreparedTopUp, record *postgres.IdempotencyRecord) (api.Done[postgres.PreparedTopUp], error) {
	if !p.OnlyCharges() || !api.IsOwnKey(record.Key) {
		p = p.WithKey(record)
	}
	return api.Once(ctx, d.Server, caller, api.Act[postgres.PreparedTopUp]{
		Record: p.Idempotency, IDs: p.TransactionIDs(), HoldsConnection: !p.OnlyCharges(),
		Attempt: func(ctx context.Context) (postgres.PreparedTopUp, bool, error) {
			stored, err := d.Payments.TopUp(ctx, p)
			return p, stored, err
		},
	})
}

// topUpRequest is the body of POST /api/v1/wallet_transactions.
type topUpRequest struct {
	topup.Request
	invalid wallet.ValidationError
	// unstorable reports whether there is a value that Lago's validation accepts and
	// its model refuses.
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

// maxText is how many characters a text may have.
const maxText = 255

func (r *topUpRequest) decodeCredits(body object) {
	var ok bool
	if r.Paid, ok = body.amount("paid_credits"); !ok {
		r.invalid.Add(wallet.FieldPaidCredits, wallet.ProblemAmountInvalid)
	}
	if r.Granted, ok = body.amount("granted_credits"); !ok {
		r.invalid.Add(wallet.FieldGrantedCredits, wallet.ProblemAmountInvalid)
	}
	if r.Voided, ok = body.amount("voided_credits"); !ok {
		r.invalid.Add(wallet.FieldVoidedCredits, wallet.ProblemAmountInvalid)
	}
}

func (r *topUpRequest) decodeName(body object, name string) {
	if !body.given(name) {
		return
	}
	text, _ := body.str(name)
	switch {
	case api.KindOf(body[name]) != "string":
		r.invalid.Add(fieldName, problemInvalidValue)
	case utf8.RuneCountInString(text) > maxText:
		r.invalid.Add(fieldName, problemTooLong)
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
		r.invalid.Add(fieldMetadata, problem)
	}
	r.Metadata = pairs
}

func isTrue(b *bool) bool { return b != nil && *b }

// decodeMethod reads the payment method that the client chose.
func decodeMethod(body object) wallet.MethodRequest {
	method := body.object("payment_method")
	var r wallet.MethodRequest
	r.Type, _ = method.str("payment_method_type")
	if id, ok := method.str("payment_method_id"); ok {
		r.ID = &id
	}
	return r
}

// decodeSections reads the choice of invoice custom sections, nil when none is sent.
// Only the literal true skips them.
func decodeSections(body object) *wallet.SectionRequest {
	sections := body.object("invoice_custom_section")
	if sections == nil {
		return nil
	}
	skip, _ := sections.str("skip_invoice_custom_sections")
	return &wallet.SectionRequest{
		Skip:  skip == "true" && api.KindOf(sections["skip_invoice_custom_sections"]) == "boolean",
		Codes: sections.texts("invoice_custom_section_codes"),
	}
}
