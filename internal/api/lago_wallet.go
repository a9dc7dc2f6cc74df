package api

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/fundrail/fundrail/internal/lagojson"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// lagoWallet is a wallet with all that belongs to it.
type lagoWallet struct {
	lagojson.Wallet

	RecurringTransactionRules   []rule          `json:"recurring_transaction_rules"`
	AppliesTo                   scope           `json:"applies_to"`
	AppliedInvoiceCustomSection []lagoSection   `json:"applied_invoice_custom_sections"`
	PaymentMethod               lagojson.Method `json:"payment_method"`
	// Metadata is left out when there is none.
	Metadata json.RawMessage `json:"metadata,omitempty"`
}

// scope is what a wallet's credits may pay for. It is kept and shown.
type scope struct {
	FeeTypes            []string `json:"fee_types"`
	BillableMetricCodes []string `json:"billable_metric_codes"`
}

func newLagoWallet(w wallet.Wallet, now time.Time) (lagoWallet, error) {
	r := lagoWallet{
		Wallet:                      lagojson.NewWallet(w),
		AppliesTo:                   scope{FeeTypes: []string{}, BillableMetricCodes: []string{}},
		AppliedInvoiceCustomSection: newLagoSections(w.Sections.List, w.OrganizationID),
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
func (s *Server) writeWallet(c echo.Context, w wallet.Wallet) error {
	shown, err := newLagoWallet(w, s.Now())
	if err != nil {
		return err
	}
	return writeOne(c, "wallet", shown)
}

// walletRef names the wallet of the path: by its id, or by the customer's external
// id and the code.
func walletRef(c echo.Context, caller postgres.Caller) postgres.WalletRef {
	ref := postgres.WalletRef{OrganizationID: caller.OrganizationID, Mode: caller.Mode}
	if c.Param("code") == "" {
		ref.ID = pathID(c)
		return ref
	}
	ref.ExternalCustomerID, ref.Code = pathText(c, "external_id"), pathText(c, "code")
	return ref
}

// showLagoWallet answers GET /api/v1/wallets/{id}, and the same by code.
func (s *Server) showLagoWallet(c echo.Context, caller postgres.Caller) error {
	w, err := postgres.FindWallet(c.Request().Context(), s.DB, walletRef(c, caller), s.Now())
	if err != nil {
		return err
	}
	return s.writeWallet(c, w)
}

// listWallets answers GET /api/v1/wallets, and the same under a customer.
func (s *Server) listWallets(c echo.Context, caller postgres.Caller) error {
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
		customer, err := postgres.FindCustomer(ctx, s.DB, caller.OrganizationID, caller.Mode, externalID)
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
	list, total, err := postgres.ListWallets(ctx, s.DB, f, pageOf(c), s.Now())
	if err != nil {
		return err
	}
	shown := make([]lagoWallet, len(list))
	for i, w := range list {
		if shown[i], err = newLagoWallet(w, s.Now()); err != nil {
			return err
		}
	}
	return writeList(c, "wallets", shown, total)
}

func errBillingEntityNotFound() error {
	return &wallet.Error{Code: wallet.CodeBillingEntityNotFound, Message: "Billing entity not found."}
}

// terminateWallet answers DELETE /api/v1/wallets/{id}, and the same by code. It is
// a success however often it is asked for.
func (s *Server) terminateWallet(c echo.Context, caller postgres.Caller) error {
	ctx := c.Request().Context()
	var w wallet.Wallet
	err := pgx.BeginFunc(ctx, s.DB, func(tx pgx.Tx) error {
		var err error
		w, _, err = postgres.TerminateWallet(ctx, tx, walletRef(c, caller), s.Now())
		return err
	})
	if err != nil {
		return err
	}
	return s.writeWallet(c, w)
}
