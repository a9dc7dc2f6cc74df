package dashboard

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/postgres"
)

// actionNames are the writes that there are, as audit rows name them.
var actionNames = []string{
	"event.replay", "job.cancel", "job.delete", "job.retry", "job.snooze", "jobs.cancel", "jobs.delete", "jobs.retry", "jobs.snooze",
	"payment.check", "queue.pause", "queue.resume",
}

// maxReason is how long a reason may be.
const maxReason = 500

// change is what a write found and what it left, for the audit row.
type change struct{ before, after any }

// act does a write and writes down that it was done, in one transaction. The role
// has been looked at by then; the reason is asked for here.
func (r *request) act(action, subjectKind, subjectID string, do func(ctx context.Context, tx pgx.Tx) (change, error)) error {
	reason := strings.TrimSpace(r.Request().PostForm.Get("reason"))
	switch {
	case reason == "":
		return refuse(http.StatusUnprocessableEntity, "A reason is missing", "Go back and say why. It is kept in the audit log.")
	case len(reason) > maxReason:
		return refuse(http.StatusUnprocessableEntity, "The reason is too long", fmt.Sprintf("It may have %d characters.", maxReason))
	}
	err := pgx.BeginFunc(r.ctx(), r.dashboard.Pool, func(tx pgx.Tx) error {
		ch, err := do(r.ctx(), tx)
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
		return postgres.InsertOperatorAction(r.ctx(), tx, postgres.OperatorAction{
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
		return nil, fmt.Errorf("audit row: %w", err)
	}
	return b, nil
}

// done sends the browser back to a page of this mode, which says what happened.
func (r *request) done(path, notice string) error {
	sep := "?"
	if strings.Contains(path, "?") {
		sep = "&"
	}
	return r.Redirect(http.StatusSeeOther, path+sep+"done="+notice)
}
