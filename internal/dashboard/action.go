package dashboard

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/postgres"
)

// actionNames are the actions that audit rows can have.
var actionNames = []string{
	"event.replay", "job.cancel", "job.delete", "job.retry", "job.snooze", "jobs.cancel", "jobs.delete", "jobs.retry", "jobs.snooze",
	"payment.check", "queue.pause", "queue.resume",
}

// maxReason is the maximum length of a reason in bytes.
const maxReason = 500

// actionLimit bounds the transaction of an action.
const actionLimit = 5 * time.Second

// change is the state of a subject before and after a write, for the audit row.
type change struct{ before, after any }

// act runs do and stores an audit row, in one transaction. It checks the reason; the caller
// has checked the role. The error is a postgres.DoubtError if the action may have been
// carried out.
func (r *request) act(action, subjectKind, subjectID string, do func(ctx context.Context, tx pgx.Tx) (change, error)) error {
	reason := strings.TrimSpace(r.Request().PostForm.Get("reason"))
	switch {
	case reason == "":
		return refuse(http.StatusUnprocessableEntity, "A reason is missing", "Go back and enter a reason. It is kept in the audit log.")
	case len(reason) > maxReason:
		return refuse(http.StatusUnprocessableEntity, "The reason is too long", fmt.Sprintf("It may have at most %d characters.", maxReason))
	}
	ctx, cancel := context.WithTimeout(r.ctx(), actionLimit)
	defer cancel()
	err := postgres.InTx(ctx, r.dashboard.Pool, func(tx pgx.Tx) error {
		ch, err := do(ctx, tx)
		if err != nil {
			return err
		}
		before, err := marshal(ch.before)
		if err != nil {
			return err
		}
		after, err := marshal(ch.after)
		if err != nil {
			return err
		}
		return postgres.InsertOperatorAction(ctx, tx, postgres.OperatorAction{
			Mode: r.mode, UserID: r.user.ID, Actor: r.user.Email, Role: r.user.Role, Action: action,
			SubjectKind: subjectKind, SubjectID: subjectID, Reason: reason, Before: before, After: after,
			RequestID: requestID(r), At: r.now,
		})
	})
	if err != nil {
		return err
	}
	r.dashboard.Log.InfoContext(r.ctx(), "operator action",
		slog.String("action", action), slog.String("subject_kind", subjectKind), slog.String("subject_id", subjectID),
		slog.String("user_id", r.user.ID.String()), slog.String("request_id", requestID(r)))
	return nil
}

func marshal(v any) (json.RawMessage, error) {
	if v == nil {
		return nil, nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode audit row: %w", err)
	}
	return b, nil
}

// done redirects to a page that shows a notice; see notices.
func (r *request) done(path, notice string) error {
	sep := "?"
	if strings.Contains(path, "?") {
		sep = "&"
	}
	return r.Redirect(http.StatusSeeOther, path+sep+"done="+notice)
}
