package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

// OperatorAction is one write that a person made in the dashboard.
type OperatorAction struct {
	ID          int64
	Mode        wallet.Mode
	UserID      wallet.ID
	Actor       string // the user's e-mail at the time
	Role        Role   // the user's role at the time
	Action      string // such as "job.retry"
	SubjectKind string // such as "job"
	SubjectID   string
	Reason      string
	Before      json.RawMessage // what it found, nil when there was nothing
	After       json.RawMessage // what it left
	RequestID   string
	At          time.Time
}

const operatorActionColumns = `id, mode, user_id, actor, role, action, subject_kind, subject_id, reason, before, after,
	request_id, acted_at`

// InsertOperatorAction writes an action down. The transaction must be that of the
// action itself, so that there is never one without the other.
func InsertOperatorAction(ctx context.Context, tx pgx.Tx, a OperatorAction) error {
	_, err := tx.Exec(ctx, `
		insert into operator_actions (mode, user_id, actor, role, action, subject_kind, subject_id, reason, before, after,
			request_id, acted_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		a.Mode, a.UserID, a.Actor, a.Role, a.Action, a.SubjectKind, a.SubjectID, a.Reason, a.Before, a.After,
		a.RequestID, a.At)
	if err != nil {
		return fmt.Errorf("insert operator action: %w", err)
	}
	return nil
}

// OperatorActionFilter says which actions are wanted. Empty fields let everything
// through, save for the mode.
type OperatorActionFilter struct {
	Mode        wallet.Mode
	Actor       string
	Action      string
	SubjectKind string
	SubjectID   string
	// Before is the id that the page ends in front of, 0 for the newest page.
	Before int64
	Limit  int
}

// ListOperatorActions gives the actions that pass the filter, the newest first.
func ListOperatorActions(ctx context.Context, db DB, f OperatorActionFilter) ([]OperatorAction, error) {
	rows, _ := db.Query(ctx, `
		select `+operatorActionColumns+`
		from operator_actions
		where mode = $1 and ($2 = '' or actor = $2) and ($3 = '' or action = $3)
			and ($4 = '' or subject_kind = $4) and ($5 = '' or subject_id = $5) and ($6 = 0 or id < $6)
		order by id desc
		limit $7`, f.Mode, f.Actor, f.Action, f.SubjectKind, f.SubjectID, f.Before, f.Limit)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[OperatorAction])
	if err != nil {
		return nil, fmt.Errorf("list operator actions: %w", err)
	}
	return nonNil(list), nil
}

// GetOperatorAction finds an action by its id. An unknown one, or one of the
// other mode, is CodeNotFound.
func GetOperatorAction(ctx context.Context, db DB, mode wallet.Mode, id int64) (OperatorAction, error) {
	rows, _ := db.Query(ctx, `select `+operatorActionColumns+` from operator_actions where mode = $1 and id = $2`, mode, id)
	a, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[OperatorAction])
	if errors.Is(err, pgx.ErrNoRows) {
		return a, &wallet.Error{Code: wallet.CodeNotFound, Message: "No such action."}
	}
	if err != nil {
		return a, fmt.Errorf("find operator action %d: %w", id, err)
	}
	return a, nil
}
