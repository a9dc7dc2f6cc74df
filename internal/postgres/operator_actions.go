package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

// OperatorAction is a change that a user made in the dashboard.
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
	Before      json.RawMessage // the subject before the change, nil if there was none
	After       json.RawMessage // the subject after the change
	RequestID   string
	At          time.Time
}

// InsertOperatorAction stores an action. It must run in the transaction of the change
// itself, so that neither exists without the other.
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
