package views

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// PaymentRow is a payment in a list, with its customer and card.
type PaymentRow struct {
	ID               wallet.ID
	Status           wallet.PaymentStatus
	Amount           int64
	Currency         wallet.Currency
	OrganizationName string
	CustomerID       wallet.ID
	ExternalID       string
	Email            string
	WalletID         wallet.ID
	Brand            string
	Last4            string
	FailureCode      string // the issuer's decline code, or else Stripe's error code
	IntentID         string `db:"stripe_payment_intent_id"`
	CreatedAt        time.Time
	UpdatedAt        time.Time
	ActionDeadlineAt *time.Time
	NextCheckAt      *time.Time
}

const paymentRowColumns = `p.id, p.status, p.amount, p.currency, o.name as organization_name, c.id as customer_id, c.external_id,
	coalesce(c.email, '') as email, p.wallet_id, coalesce(m.brand, '') as brand, coalesce(m.last4, '') as last4,
	coalesce(p.failure_decline_code, p.failure_code, '') as failure_code,
	coalesce(p.stripe_payment_intent_id, '') as stripe_payment_intent_id, p.created_at, p.updated_at, p.action_deadline_at, p.next_check_at`

const paymentRowJoins = `
	join organizations o on o.id = p.organization_id
	join wallets w on w.id = p.wallet_id
	join customers c on c.id = w.customer_id
	left join payment_methods m on m.id = p.payment_method_id`

// PaymentFilter selects payments. Mode is required; other empty fields match every
// payment.
type PaymentFilter struct {
	Mode        wallet.Mode
	Statuses    []wallet.PaymentStatus
	CustomerID  wallet.ID
	WalletID    wallet.ID
	FailureCode string
	// Challenge is one of ChallengeStages. It selects the payments whose challenge
	// reached the stage in the period.
	Challenge string
	// From and Until bound the time of acceptance, or with Challenge the time at which
	// the stage was reached. Until is exclusive.
	From, Until time.Time
	// Before limits the page to smaller ids, zero for the newest page. A list with
	// Challenge uses Cursor instead: Next of the page before.
	Before wallet.ID
	Cursor string
	Limit  int
}

// narrow reports whether the query has to read rows that do not match.
func (f PaymentFilter) narrow() bool {
	return f.FailureCode != "" || f.owned() && len(f.Statuses) > 0
}

// owned reports whether the filter selects the payments of one wallet or customer.
func (f PaymentFilter) owned() bool {
	return f.CustomerID != (wallet.ID{}) || f.WalletID != (wallet.ID{})
}

// paymentsOfMode and paymentsOfOwner read a window of the newest payments of each status,
// or of each wallet. They compare pairs of status and id, so that the planner uses the
// index on both. With separate conditions it would read all payments from the newest on
// until it has found enough of the status, and it cannot know that rare ones are old.
const (
	paymentsOfMode = `
		select p.id, p.failure_code, p.failure_decline_code, p.status
		from unnest(@statuses::text[]) as s (status)
		cross join lateral (
			select * from payments p
			where p.mode = @mode and (p.status, p.id) >= (s.status, @from) and (p.status, p.id) < (s.status, @before)
			order by p.status desc, p.id desc
			limit @window
		) p`
	paymentsOfOwner = `
		select p.id, p.failure_code, p.failure_decline_code, p.status
		from (select id from wallets where mode = @mode and id = @wallet
			union select id from wallets where mode = @mode and customer_id = @customer) w
		cross join lateral (
			select * from payments p
			where p.wallet_id = w.id and p.id >= @from and p.id < @before
			order by p.id desc
			limit @window
		) p`
)

// ListPaymentRows returns a page of the payments that match the filter, the newest first.
func ListPaymentRows(ctx context.Context, db postgres.DB, f PaymentFilter) (Page[PaymentRow], error) {
	var page Page[PaymentRow]
	if f.Challenge != "" {
		return listChallenged(ctx, db, f)
	}
	source, statuses, window := paymentsOfMode, f.Statuses, f.Limit+1
	if f.owned() {
		source = paymentsOfOwner
	}
	switch {
	case len(statuses) > 0:
	case f.FailureCode != "":
		statuses = []wallet.PaymentStatus{wallet.PaymentFailed, wallet.PaymentCanceled}
	default:
		statuses = wallet.PaymentStatuses
	}
	if f.narrow() {
		window = ListWindow
	}
	args := pgx.NamedArgs{
		"mode": f.Mode, "statuses": statuses, "wallet": f.WalletID, "customer": f.CustomerID,
		"failure": f.FailureCode, "from": wallet.FirstID(f.From), "before": paymentsEnd(f), "window": window, "limit": f.Limit + 1,
	}
	seen := `with seen as materialized (select * from (` + source + `) s order by s.id desc limit @window)`
	rows, _ := db.Query(ctx, seen+`
		select `+paymentRowColumns+`
		from (
			select id from seen
			where (@failure = '' or coalesce(failure_decline_code, failure_code) = @failure)
				and status = any (@statuses)
			order by id desc
			limit @limit
		) page
		join payments p on p.id = page.id`+paymentRowJoins+`
		order by p.id desc`, args)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[PaymentRow])
	if err != nil {
		return page, fmt.Errorf("list payments: %w", err)
	}
	cursor := func(p PaymentRow) string { return p.ID.String() }
	if len(list) > f.Limit || !f.narrow() {
		return paged(list, f.Limit, false, cursor, nil), nil
	}
	type windowEnd struct {
		N      int
		LastID *wallet.ID
	}
	rows, _ = db.Query(ctx, seen+`select count(*) as n, (array_agg(id order by id))[1] as last_id from seen`, args)
	end, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[windowEnd])
	if err != nil {
		return page, fmt.Errorf("list payments: %w", err)
	}
	return paged(list, f.Limit, end.N >= ListWindow, cursor, func() string { return end.LastID.String() }), nil
}

// paymentsEnd returns the id in front of which the page ends.
func paymentsEnd(f PaymentFilter) wallet.ID {
	switch {
	case f.Before != (wallet.ID{}):
		return f.Before
	case !f.Until.IsZero():
		return wallet.FirstID(f.Until)
	}
	const last = 0xff
	var id wallet.ID
	for i := range id {
		id[i] = last
	}
	return id
}
