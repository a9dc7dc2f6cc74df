package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

// ChallengeStages are what ChallengeCounts counts, by the names that
// PaymentFilter.Challenge takes.
var ChallengeStages = []string{"started", "returned", "completed", "failed", "abandoned"}

// challenged selects the payments that came to a stage of their challenge between
// @from and @until.
var challenged = map[string]string{
	"started":   challengeMoves + `m.to_status = 'requires_action'`,
	"returned":  `select id from payments where returned_at >= @from and returned_at < @until`,
	"completed": challengeMoves + `m.from_status = 'requires_action' and m.to_status = 'succeeded'`,
	"failed":    challengeMoves + `m.from_status = 'requires_action' and m.to_status = 'failed'`,
	"abandoned": challengeMoves + `m.from_status = 'requires_action' and m.to_status = 'canceled'`,
}

const challengeMoves = `select distinct m.payment_id as id from payment_moves m where m.moved_at >= @from and m.moved_at < @until and `

// listChallenged is ListPaymentRows for a filter with a stage of the challenge. It
// reads the challenges of the filter's period: the longer, the slower.
func listChallenged(ctx context.Context, db DB, f PaymentFilter) (Page[PaymentRow], error) {
	source, known := challenged[f.Challenge]
	if !known {
		return Page[PaymentRow]{}, &wallet.Error{Code: wallet.CodeNotFound, Message: "There is no such stage of a challenge."}
	}
	until := f.Until
	if until.IsZero() {
		until = farFuture
	}
	before := paymentsEnd(PaymentFilter{Before: f.Before})
	statuses := f.Statuses
	if len(statuses) == 0 {
		statuses = slices.Clone(wallet.PaymentStatuses)
	}
	rows, _ := db.Query(ctx, `
		select `+paymentRowColumns+`
		from (
			select p.id from (`+source+`) c
			join payments p on p.id = c.id
			join wallets w on w.id = p.wallet_id
			where p.mode = @mode and p.id < @before and p.status = any (@statuses)
				and (@failure = '' or coalesce(p.failure_decline_code, p.failure_code) = @failure)
				and (@wallet = @nobody::uuid or p.wallet_id = @wallet) and (@customer = @nobody or w.customer_id = @customer)
			order by p.id desc
			limit @limit
		) page
		join payments p on p.id = page.id`+paymentRowJoins+`
		order by p.id desc`, pgx.NamedArgs{
		"mode": f.Mode, "from": f.From, "until": until, "before": before, "statuses": statuses, "failure": f.FailureCode,
		"wallet": f.WalletID, "customer": f.CustomerID, "nobody": wallet.ID{}, "limit": f.Limit + 1,
	})
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[PaymentRow])
	if err != nil {
		return Page[PaymentRow]{}, fmt.Errorf("list challenges: %w", err)
	}
	return paged(list, f.Limit, false, func(p PaymentRow) string { return p.ID.String() }, nil), nil
}
