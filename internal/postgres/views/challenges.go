package views

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// ChallengeStages are the stages of a 3-D Secure challenge, as PaymentFilter.Challenge
// names them. postgres.ChallengeCounts counts the payments of each.
var ChallengeStages = []string{"started", "returned", "completed", "failed", "abandoned"}

// challenged maps a stage to a query that returns the payments that reached it, and when.
var challenged = map[string]string{
	"started":   challengeMoves + `to_status = 'requires_action'`,
	"returned":  `select id, returned_at as at from payments where returned_at is not null`,
	"completed": challengeMoves + `from_status = 'requires_action' and to_status = 'succeeded'`,
	"failed":    challengeMoves + `from_status = 'requires_action' and to_status = 'failed'`,
	"abandoned": challengeMoves + `from_status = 'requires_action' and to_status = 'canceled'`,
}

const challengeMoves = `select payment_id as id, moved_at as at from payment_moves where `

// challengedRow is a payment with the time at which it reached the stage.
type challengedRow struct {
	PaymentRow
	At time.Time
}

// listChallenged is ListPaymentRows for a filter with a challenge stage. The payments
// that reached the stage last come first.
func listChallenged(ctx context.Context, db postgres.DB, f PaymentFilter) (Page[PaymentRow], error) {
	var page Page[PaymentRow]
	source, known := challenged[f.Challenge]
	if !known {
		return page, &wallet.Error{Code: wallet.CodeNotFound, Message: "No such stage of a challenge."}
	}
	afterAt, afterID := f.Until, wallet.ID{}
	if f.Until.IsZero() {
		afterAt = farFuture
	}
	if f.Cursor != "" {
		at, id, err := parseTimeCursor(f.Cursor)
		if err != nil {
			return page, err
		}
		afterAt = at
		if afterID, err = uuid.Parse(id); err != nil {
			return page, errCursor
		}
	}
	statuses := f.Statuses
	if len(statuses) == 0 {
		statuses = wallet.PaymentStatuses
	}
	args := pgx.NamedArgs{
		"mode": f.Mode, "from": f.From, "after_at": afterAt, "after_id": afterID, "statuses": statuses, "failure": f.FailureCode,
		"wallet": f.WalletID, "customer": f.CustomerID, "no_id": wallet.ID{}, "window": ListWindow, "limit": f.Limit + 1,
	}
	seen := `
		select c.id, c.at from (` + source + `) c
		where c.at >= @from and c.at <= @after_at and (c.at, c.id) < (@after_at, @after_id)
		order by c.at desc, c.id desc
		limit @window`
	rows, _ := db.Query(ctx, `
		select `+paymentRowColumns+`, page.at
		from (
			select p.id, seen.at from (`+seen+`) seen
			join payments p on p.id = seen.id
			join wallets w on w.id = p.wallet_id
			where p.mode = @mode and p.status = any (@statuses)
				and (@failure = '' or coalesce(p.failure_decline_code, p.failure_code) = @failure)
				and (@wallet = @no_id::uuid or p.wallet_id = @wallet) and (@customer = @no_id or w.customer_id = @customer)
			order by seen.at desc, seen.id desc
			limit @limit
		) page
		join payments p on p.id = page.id`+paymentRowJoins+`
		order by page.at desc, p.id desc`, args)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[challengedRow])
	if err != nil {
		return page, fmt.Errorf("list challenges: %w", err)
	}
	type windowEnd struct {
		N  int
		ID wallet.ID
		At time.Time
	}
	var end windowEnd
	if len(list) <= f.Limit {
		rows, _ := db.Query(ctx, `select count(*) over () as n, id, at from (`+seen+`) s order by at, id limit 1`, args)
		if end, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[windowEnd]); ignoreNoRows(err) != nil {
			return page, fmt.Errorf("list challenges: %w", err)
		}
	}
	found := paged(list, f.Limit, end.N >= ListWindow,
		func(r challengedRow) string { return timeCursor(r.At, r.ID.String()) },
		func() string { return timeCursor(end.At, end.ID.String()) })
	page.Rows, page.Next, page.Partial = make([]PaymentRow, len(found.Rows)), found.Next, found.Partial
	for i, r := range found.Rows {
		page.Rows[i] = r.PaymentRow
	}
	return page, nil
}
