package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

const (
	transactionColumns = `t.id, t.organization_id, t.mode, t.wallet_id, t.invoice_id, t.credit_note_id, t.voided_invoice_id,
		t.transaction_type as type, t.transaction_status as kind, t.status, t.source, w.currency, w.rate_amount,
		w.billing_entity_code, w.traceable, t.amount, t.credit_amount, t.remaining_amount, coalesce(t.name, '') as name,
		t.priority, coalesce(t.purchase_order_number, w.purchase_order_number, '') as purchase_order_number,
		t.invoice_requires_successful_payment, t.metadata, t.payment_method_type, t.payment_method_id,
		t.skip_invoice_custom_sections, t.invoice_custom_sections, t.created_at, t.settled_at, t.failed_at,
		p.id as payment_id, coalesce(p.status, '') as payment_status,
		coalesce(p.redirect_url, '') as payment_redirect_url, coalesce(p.failure_code, '') as payment_failure_code,
		coalesce(p.failure_decline_code, '') as payment_failure_decline_code,
		coalesce(p.failure_message, '') as payment_failure_message`
	// transactionTables join a transaction t with its wallet and its newest payment.
	transactionTables = `
		join wallets w on w.id = t.wallet_id
		left join lateral (
			select p.* from payments p where p.wallet_transaction_id = t.id order by p.id desc limit 1
		) p on t.transaction_status = 'purchased'`
)

// transactionRow is a wallet transaction with the columns of its nested structs.
type transactionRow struct {
	wallet.Transaction
	PaymentMethodType         wallet.PaymentMethodType
	PaymentMethodID           *wallet.ID
	SkipInvoiceCustomSections bool
	InvoiceCustomSections     []wallet.AppliedSection
	PaymentID                 *wallet.ID // null without a payment
	PaymentStatus             wallet.PaymentStatus
	PaymentRedirectURL        string
	PaymentFailureCode        string
	PaymentFailureDeclineCode string
	PaymentFailureMessage     string
}

func (r transactionRow) transaction() wallet.Transaction {
	t := r.Transaction
	t.PaymentMethod = wallet.MethodChoice{Type: r.PaymentMethodType, ID: r.PaymentMethodID}
	t.Sections = wallet.AppliedSections{Skip: r.SkipInvoiceCustomSections, List: r.InvoiceCustomSections}
	if r.PaymentID != nil {
		t.Payment = &wallet.TransactionPayment{
			ID: *r.PaymentID, Status: r.PaymentStatus, RedirectURL: r.PaymentRedirectURL,
			Failure: wallet.Failure{
				Code: r.PaymentFailureCode, DeclineCode: r.PaymentFailureDeclineCode, Message: r.PaymentFailureMessage,
			},
		}
	}
	return t
}

func scanTransaction(row pgx.CollectableRow) (wallet.Transaction, error) {
	r, err := pgx.RowToStructByName[transactionRow](row)
	return r.transaction(), err
}

// GetTransaction returns a wallet transaction of an organization. An unknown one is
// CodeWalletTransactionNotFound.
func GetTransaction(ctx context.Context, db DB, organizationID wallet.ID, mode wallet.Mode, id wallet.ID) (wallet.Transaction, error) {
	rows, _ := db.Query(ctx, `
		select `+transactionColumns+` from wallet_transactions t `+transactionTables+`
		where t.id = $1 and t.organization_id = $2 and t.mode = $3`, id, organizationID, mode)
	t, err := pgx.CollectExactlyOneRow(rows, scanTransaction)
	if errors.Is(err, pgx.ErrNoRows) {
		return t, &wallet.Error{Code: wallet.CodeWalletTransactionNotFound, Message: "Wallet transaction not found."}
	}
	if err != nil {
		return t, fmt.Errorf("find wallet transaction %s: %w", id, err)
	}
	return t, nil
}

// GetTransactions returns wallet transactions by their ids, in the order of the ids.
// Unknown ones are left out.
func GetTransactions(ctx context.Context, db DB, ids []wallet.ID) ([]wallet.Transaction, error) {
	rows, _ := db.Query(ctx, `
		select `+transactionColumns+` from wallet_transactions t `+transactionTables+` where t.id = any ($1)`, ids)
	list, err := pgx.CollectRows(rows, scanTransaction)
	if err != nil {
		return nil, fmt.Errorf("find wallet transactions: %w", err)
	}
	slices.SortFunc(list, func(a, b wallet.Transaction) int {
		return slices.Index(ids, a.ID) - slices.Index(ids, b.ID)
	})
	return nonNil(list), nil
}

// TransactionFilter selects transactions of a wallet. Its zero value selects all.
type TransactionFilter struct {
	Status wallet.TransactionStatus
	Kind   wallet.TransactionKind
	Type   wallet.TransactionType
	// Metadata are pairs that a transaction must have, all of them. Values are
	// compared as strings, so a number does not match.
	Metadata map[string]string
}

// ListTransactions returns a page of a wallet's transactions, newest first, and how
// many there are in all.
func ListTransactions(ctx context.Context, db DB, walletID wallet.ID, f TransactionFilter, page wallet.Page) ([]wallet.Transaction, int, error) {
	where, args := `t.wallet_id = $1`, []any{walletID}
	and := func(condition string, value any) {
		args = append(args, value)
		where += ` and ` + condition + ` $` + strconv.Itoa(len(args))
	}
	if f.Status != "" {
		and(`t.status =`, f.Status)
	}
	if f.Kind != "" {
		and(`t.transaction_status =`, f.Kind)
	}
	if f.Type != "" {
		and(`t.transaction_type =`, f.Type)
	}
	for key, value := range f.Metadata {
		pair, err := json.Marshal([]map[string]string{{"key": key, "value": value}})
		if err != nil {
			return nil, 0, fmt.Errorf("metadata filter: %w", err)
		}
		and(`t.metadata @>`, json.RawMessage(pair))
	}
	list, total, err := listPage(ctx, db, listQuery{
		columns: transactionColumns,
		from:    `wallet_transactions t`,
		extra:   transactionTables,
		where:   where,
		order:   `t.created_at desc, t.id`,
		args:    args,
	}, page, scanTransaction)
	if err != nil {
		return nil, 0, fmt.Errorf("transactions of wallet %s: %w", walletID, err)
	}
	return list, total, nil
}

// ListConsumptions returns a page of what outbound transactions took from an inbound
// one, newest first, and how many there are in all.
func ListConsumptions(ctx context.Context, db DB, inboundID wallet.ID, page wallet.Page) ([]wallet.Consumption, int, error) {
	return listConsumptions(ctx, db, `inbound_transaction_id`, `outbound_transaction_id`, inboundID, page)
}

// ListFundings returns a page of what an outbound transaction took from inbound
// ones, newest first, and how many there are in all.
func ListFundings(ctx context.Context, db DB, outboundID wallet.ID, page wallet.Page) ([]wallet.Consumption, int, error) {
	return listConsumptions(ctx, db, `outbound_transaction_id`, `inbound_transaction_id`, outboundID, page)
}

func listConsumptions(ctx context.Context, db DB, own, other string, id wallet.ID, page wallet.Page) ([]wallet.Consumption, int, error) {
	list, total, err := listPage(ctx, db, listQuery{
		columns: `x.id as consumption_id, x.amount as consumption_amount, x.created_at as consumption_created_at, ` + transactionColumns,
		from:    `wallet_transaction_consumptions x`,
		extra:   `join wallet_transactions t on t.id = x.` + other + transactionTables,
		where:   `x.` + own + ` = $1`,
		order:   `x.created_at desc, x.id`,
		args:    []any{id},
	}, page, scanConsumption)
	if err != nil {
		return nil, 0, fmt.Errorf("consumptions of wallet transaction %s: %w", id, err)
	}
	return list, total, nil
}

// takenRow is a consumption with the transaction on the other side.
type takenRow struct {
	transactionRow
	ConsumptionID        wallet.ID
	ConsumptionAmount    int64
	ConsumptionCreatedAt time.Time
}

func scanConsumption(row pgx.CollectableRow) (wallet.Consumption, error) {
	r, err := pgx.RowToStructByName[takenRow](row)
	return wallet.Consumption{
		ID: r.ConsumptionID, Amount: r.ConsumptionAmount, CreatedAt: r.ConsumptionCreatedAt, Transaction: r.transaction(),
	}, err
}
