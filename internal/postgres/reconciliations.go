package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

// DriftKind is a kind of difference between our books and Stripe's.
type DriftKind string

// The kinds of drift.
const (
	// DriftAmountDiffers means that the credited amount is not the amount that Stripe
	// charged.
	DriftAmountDiffers DriftKind = "amount_differs"
	// DriftChargedNotCredited means that Stripe charged a card and no wallet was credited.
	DriftChargedNotCredited DriftKind = "charged_not_credited"
	// DriftCreditedNotCharged means that a wallet was credited and Stripe charged no card.
	DriftCreditedNotCharged DriftKind = "credited_not_charged"
	// DriftDisputeDiffers and DriftRefundDiffers mean that a dispute or refund differs
	// between Stripe and its row, or exists on one side only.
	DriftDisputeDiffers DriftKind = "dispute_differs"
	DriftRefundDiffers  DriftKind = "refund_differs"
	// DriftOpenTooLong means that a payment is open for longer than any payment should be.
	DriftOpenTooLong DriftKind = "open_too_long"
)

// Drift is a difference between our books and Stripe's.
type Drift struct {
	Kind DriftKind `json:"kind"`
	// PaymentID is zero if the difference is about no payment of ours.
	PaymentID wallet.ID `json:"payment_id,omitzero"`
	// StripeID is Stripe's id of the intent, refund or dispute.
	StripeID string `json:"stripe_id,omitempty"`
	// Detail explains the difference, with the figures.
	Detail string `json:"detail"`
	// Repaired reports whether the reconciliation removed the difference.
	Repaired bool `json:"repaired"`
}

// Reconciliation is a comparison of our books with Stripe's. It covers what was created in
// a mode between two times and what was open.
type Reconciliation struct {
	Mode       wallet.Mode
	Source     string // "job" or "operator"
	Since      time.Time
	Until      time.Time
	Payments   int64 // number compared, also for Refunds and Disputes
	Refunds    int64
	Disputes   int64
	Drift      []Drift
	StartedAt  time.Time
	FinishedAt time.Time
}

// Count returns the number of differences of a kind.
func (r Reconciliation) Count(kind DriftKind) int64 {
	var n int64
	for _, d := range r.Drift {
		if d.Kind == kind {
			n++
		}
	}
	return n
}

// Repaired returns the number of differences that were removed.
func (r Reconciliation) Repaired() int64 {
	var n int64
	for _, d := range r.Drift {
		if d.Repaired {
			n++
		}
	}
	return n
}

// Left returns the number of differences that remain.
func (r Reconciliation) Left() int64 { return int64(len(r.Drift)) - r.Repaired() }

// InsertReconciliation stores a reconciliation. It stores the counts of all its drift, but
// only the first 100 differences themselves.
func InsertReconciliation(ctx context.Context, db DB, r Reconciliation) error {
	const most = 100
	findings, err := json.Marshal(nonNil(r.Drift[:min(len(r.Drift), most)]))
	if err != nil {
		return fmt.Errorf("encode drift: %w", err)
	}
	_, err = db.Exec(ctx, `
		insert into reconciliations (id, mode, source, since, until, payments, refunds, disputes, charged_not_credited,
			credited_not_charged, amount_differs, open_too_long, refund_differs, dispute_differs, repaired, findings,
			started_at, finished_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)`,
		wallet.NewID(), r.Mode, r.Source, r.Since, r.Until, r.Payments, r.Refunds, r.Disputes,
		r.Count(DriftChargedNotCredited), r.Count(DriftCreditedNotCharged), r.Count(DriftAmountDiffers),
		r.Count(DriftOpenTooLong), r.Count(DriftRefundDiffers), r.Count(DriftDisputeDiffers), r.Repaired(), findings,
		r.StartedAt, r.FinishedAt)
	if err != nil {
		return fmt.Errorf("insert reconciliation: %w", err)
	}
	return nil
}

// LatestReconciliation returns the last reconciliation of a mode from a source, or from any
// source if source is empty. Its drift is at most the 100 differences that are stored, and
// so are the counts of its methods. The second result is false if there is none.
func LatestReconciliation(ctx context.Context, db DB, mode wallet.Mode, source string) (Reconciliation, bool, error) {
	rows, _ := db.Query(ctx, `
		select mode, source, since, until, payments, refunds, disputes, findings as drift, started_at, finished_at
		from reconciliations
		where mode = $1 and ($2 = '' or source = $2)
		order by finished_at desc
		limit 1`, mode, source)
	r, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Reconciliation])
	if errors.Is(err, pgx.ErrNoRows) {
		return Reconciliation{Mode: mode}, false, nil
	}
	if err != nil {
		return r, false, fmt.Errorf("find reconciliation of %s mode: %w", mode, err)
	}
	return r, true, nil
}

// PaymentsOfIntents returns the payments of a mode that have one of the intents, or one of
// the payment ids that the intents' metadata names.
func PaymentsOfIntents(ctx context.Context, db DB, mode wallet.Mode, intentIDs []string, paymentIDs []wallet.ID) ([]wallet.Payment, error) {
	rows, _ := db.Query(ctx, `
		select `+paymentColumns+` from payments p where p.stripe_payment_intent_id = any ($1)
		union
		select `+paymentColumns+` from payments p where p.id = any ($2)`,
		nonNil(intentIDs), nonNil(paymentIDs))
	list, err := pgx.CollectRows(rows, scanPayment)
	if err != nil {
		return nil, fmt.Errorf("find payments of %d intents: %w", len(intentIDs), err)
	}
	// The statement does not compare the mode, for the reason that ownPayment gives.
	return slices.DeleteFunc(list, func(p wallet.Payment) bool { return p.Mode != mode }), nil
}

// PaymentsToReconcile returns up to limit payments of a mode with ids above after that were
// accepted since a time or are open, in the order of their ids.
func PaymentsToReconcile(ctx context.Context, db DB, mode wallet.Mode, since time.Time, after wallet.ID, limit int) ([]wallet.Payment, error) {
	rows, _ := db.Query(ctx, `
		select `+paymentColumns+`
		from payments p
		where p.mode = $1 and p.id > $3 and (p.created_at >= $2 or p.status in ('created', 'processing', 'requires_action'))
		order by p.id
		limit $4`, mode, since, after, limit)
	list, err := pgx.CollectRows(rows, scanPayment)
	if err != nil {
		return nil, fmt.Errorf("list payments to reconcile: %w", err)
	}
	return list, nil
}

// RefundsToReconcile returns the refunds of a mode that were created since a time or are
// open.
func RefundsToReconcile(ctx context.Context, db DB, mode wallet.Mode, since time.Time) ([]wallet.Refund, error) {
	rows, _ := db.Query(ctx, `
		select `+refundColumns+` from refunds
		where mode = $1 and (created_at >= $2 or next_check_at is not null)
		order by created_at, id`, mode, since)
	list, err := pgx.CollectRows(rows, scanRefund)
	if err != nil {
		return nil, fmt.Errorf("list refunds to reconcile: %w", err)
	}
	return list, nil
}

// FindRefund returns the refund with an id of Stripe's. The error is CodeRefundNotFound for
// an unknown one.
func FindRefund(ctx context.Context, db DB, stripeRefundID string) (wallet.Refund, error) {
	rows, _ := db.Query(ctx, `select `+refundColumns+` from refunds where stripe_refund_id = $1`, stripeRefundID)
	r, err := pgx.CollectExactlyOneRow(rows, scanRefund)
	if errors.Is(err, pgx.ErrNoRows) {
		return r, &wallet.Error{Code: wallet.CodeRefundNotFound, Message: "Refund not found."}
	}
	if err != nil {
		return r, fmt.Errorf("find refund %s: %w", stripeRefundID, err)
	}
	return r, nil
}

// DisputesToReconcile returns the disputes of a mode that were opened since a time or are
// not closed.
func DisputesToReconcile(ctx context.Context, db DB, mode wallet.Mode, since time.Time) ([]wallet.Dispute, error) {
	return listDisputes(ctx, db, `mode = $1 and (created_at >= $2 or status not in ('lost', 'warning_closed', 'won'))`, mode, since)
}

// FindDispute returns the dispute with an id of Stripe's. The second result is false for an
// unknown one.
func FindDispute(ctx context.Context, db DB, stripeDisputeID string) (wallet.Dispute, bool, error) {
	list, err := listDisputes(ctx, db, `stripe_dispute_id = $1`, stripeDisputeID)
	if err != nil || len(list) == 0 {
		return wallet.Dispute{}, false, err
	}
	return list[0], true, nil
}
