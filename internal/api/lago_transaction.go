package api

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/fundrail/fundrail/internal/lagojson"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// lagoTransaction is a wallet transaction. RedirectURL and PaymentID are additions
// to the dialect: they are there while the cardholder has to do something.
type lagoTransaction struct {
	lagojson.Transaction

	// Sections are left out of lists.
	Sections      *[]lagoSection  `json:"applied_invoice_custom_sections,omitempty"`
	PaymentMethod lagojson.Method `json:"payment_method"`

	RedirectURL string     `json:"redirect_url,omitempty"`
	PaymentID   *wallet.ID `json:"payment_id,omitempty"`
}

func newLagoTransaction(t wallet.Transaction) lagoTransaction {
	r := lagoTransaction{Transaction: lagojson.NewTransaction(t), PaymentMethod: lagojson.NewMethod(t.PaymentMethod)}
	if p := t.Payment; p != nil && p.Status == wallet.PaymentRequiresAction {
		r.RedirectURL, r.PaymentID = p.RedirectURL, &p.ID
	}
	return r
}

// newWholeTransaction is newLagoTransaction with the sections.
func newWholeTransaction(t wallet.Transaction) lagoTransaction {
	r := newLagoTransaction(t)
	sections := newLagoSections(t.Sections.List, t.OrganizationID)
	r.Sections = &sections
	return r
}

// each turns a list into what is shown of it.
func each[T, R any](list []T, show func(T) R) []R {
	shown := make([]R, len(list))
	for i, v := range list {
		shown[i] = show(v)
	}
	return shown
}

// showTransaction answers GET /api/v1/wallet_transactions/{id}.
func (s *Server) showTransaction(c echo.Context, caller postgres.Caller) error {
	t, err := s.findTransaction(c, caller)
	if err != nil {
		return err
	}
	return writeOne(c, "wallet_transaction", newWholeTransaction(t))
}

// findTransaction finds the wallet transaction that the path names.
func (s *Server) findTransaction(c echo.Context, caller postgres.Caller) (wallet.Transaction, error) {
	return postgres.GetTransaction(c.Request().Context(), s.DB, caller.OrganizationID, caller.Mode, pathID(c))
}

// listTransactions answers GET /api/v1/wallets/{id}/wallet_transactions.
func (s *Server) listTransactions(c echo.Context, caller postgres.Caller) error {
	ctx := c.Request().Context()
	w, err := postgres.FindWallet(ctx, s.DB, walletRef(c, caller), s.Now())
	if err != nil {
		return err
	}
	list, total, err := postgres.ListTransactions(ctx, s.DB, w.ID, transactionFilter(c.QueryParams()), pageOf(c))
	if err != nil {
		return err
	}
	return writeList(c, "wallet_transactions", each(list, newLagoTransaction), total)
}

// transactionFilter reads which transactions are wanted. A word that is no value
// of its field is ignored, as Lago does.
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

// lagoConsumption is what a debit took from a credit.
type lagoConsumption struct {
	LagoID       wallet.ID        `json:"lago_id"`
	AmountCents  int64            `json:"amount_cents"`
	CreditAmount lagojson.Credits `json:"credit_amount"`
	CreatedAt    lagojson.Moment  `json:"created_at"`
	Transaction  lagoTransaction  `json:"wallet_transaction"`
}

func newLagoConsumption(x wallet.Consumption) lagoConsumption {
	return lagoConsumption{
		LagoID: x.ID, AmountCents: x.Amount, CreditAmount: lagojson.Credits(x.Credits()), CreatedAt: lagojson.Moment(x.CreatedAt),
		Transaction: newLagoTransaction(x.Transaction),
	}
}

// listConsumptions answers GET /api/v1/wallet_transactions/{id}/consumptions: the
// debits that ate an inbound transaction.
func (s *Server) listConsumptions(c echo.Context, caller postgres.Caller) error {
	t, err := s.findTraceable(c, caller, wallet.TransactionInbound)
	if err != nil {
		return err
	}
	list, total, err := postgres.ListConsumptions(c.Request().Context(), s.DB, t.ID, pageOf(c))
	if err != nil {
		return err
	}
	return writeList(c, "wallet_transaction_consumptions", each(list, newLagoConsumption), total)
}

// listFundings answers GET /api/v1/wallet_transactions/{id}/fundings: the credits
// that paid an outbound transaction.
func (s *Server) listFundings(c echo.Context, caller postgres.Caller) error {
	t, err := s.findTraceable(c, caller, wallet.TransactionOutbound)
	if err != nil {
		return err
	}
	list, total, err := postgres.ListFundings(c.Request().Context(), s.DB, t.ID, pageOf(c))
	if err != nil {
		return err
	}
	return writeList(c, "wallet_transaction_fundings", each(list, newLagoConsumption), total)
}

// findTraceable finds the transaction that the path names, which must have a
// direction and a wallet that knows what became of its credits.
func (s *Server) findTraceable(c echo.Context, caller postgres.Caller, want wallet.TransactionType) (wallet.Transaction, error) {
	t, err := s.findTransaction(c, caller)
	switch {
	case err != nil:
		return t, err
	case !t.Traceable:
		return t, wallet.Invalid("wallet", "not_traceable")
	case t.Type != want:
		return t, wallet.Invalid("transaction_type", "invalid_transaction_type")
	}
	return t, nil
}

// errUnprocessable is a 422 that says no more, for what Lago's model refuses after
// its validation has passed.
func errUnprocessable() *Error {
	return &Error{Status: http.StatusUnprocessableEntity, Message: "Unprocessable."}
}
