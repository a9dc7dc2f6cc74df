package views

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

const operatorActionColumns = `id, mode, user_id, actor, role, action, subject_kind, subject_id, reason, before, after,
	request_id, acted_at as at`

// OperatorActionFilter selects actions. Mode is required; other empty fields match every
// action.
type OperatorActionFilter struct {
	Mode        wallet.Mode
	Actor       string
	Action      string
	SubjectKind string
	SubjectID   string
	// Before limits the page to smaller ids, 0 for the newest page.
	Before int64
	Limit  int
}

// ListOperatorActions returns the actions that match the filter, the newest first.
func ListOperatorActions(ctx context.Context, db postgres.DB, f OperatorActionFilter) ([]postgres.OperatorAction, error) {
	rows, _ := db.Query(ctx, `
		select `+operatorActionColumns+`
		from operator_actions
		where mode = $1 and ($2 = '' or actor = $2) and ($3 = '' or action = $3)
			and ($4 = '' or subject_kind = $4) and ($5 = '' or subject_id = $5) and ($6 = 0 or id < $6)
		order by id desc
		limit $7`, f.Mode, f.Actor, f.Action, f.SubjectKind, f.SubjectID, f.Before, f.Limit)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[postgres.OperatorAction])
	if err != nil {
		return nil, fmt.Errorf("list operator actions: %w", err)
	}
	return list, nil
}

// GetOperatorAction returns an action. The error is CodeNotFound if the action is unknown
// or of the other mode.
func GetOperatorAction(ctx context.Context, db postgres.DB, mode wallet.Mode, id int64) (postgres.OperatorAction, error) {
	rows, _ := db.Query(ctx, `select `+operatorActionColumns+` from operator_actions where mode = $1 and id = $2`, mode, id)
	a, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[postgres.OperatorAction])
	if errors.Is(err, pgx.ErrNoRows) {
		return a, &wallet.Error{Code: wallet.CodeNotFound, Message: "No such action."}
	}
	if err != nil {
		return a, fmt.Errorf("find operator action %d: %w", id, err)
	}
	return a, nil
}
