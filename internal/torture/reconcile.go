package torture

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"time"
)

// reconciliation holds the fields of the output of `fundrail reconcile --json` that
// are used.
type reconciliation struct {
	Modes []struct {
		Findings []struct {
			Kind     string `json:"kind"`
			StripeID string `json:"stripe_id"`
			Detail   string `json:"detail"`
		} `json:"findings"`
	} `json:"modes"`
}

// reconcile runs the operator's command and returns what differs from Stripe.
func (s *storm) reconcile(ctx context.Context) (list []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	args := append(append([]string{}, s.Program[1:]...), "reconcile", "--json")
	cmd := exec.CommandContext(ctx, s.Program[0], args...) //nolint:gosec // this program
	cmd.Env = append(append([]string{}, s.Environ...),
		"DATABASE_URL="+s.server.DatabaseURL(), "STRIPE_API_URL="+s.stripe.URL,
		"STRIPE_LIVE_SECRET_KEY=", "STRIPE_TEST_SECRET_KEY="+stripeKey)
	printed, err := cmd.Output()
	exit, failed := errors.AsType[*exec.ExitError](err)
	if err != nil && !failed {
		return nil, fmt.Errorf("reconcile: %w", err)
	}
	var r reconciliation
	if json.Unmarshal(printed, &r) != nil {
		return []string{fmt.Sprintf("it could not be asked: %v %s", err, stderrOf(exit))}, nil
	}
	for _, mode := range r.Modes {
		for _, f := range mode.Findings {
			list = append(list, fmt.Sprintf("%s %s %s", f.Kind, f.StripeID, f.Detail))
		}
	}
	if failed && len(list) == 0 {
		list = append(list, err.Error())
	}
	return list, nil
}

func stderrOf(e *exec.ExitError) []byte {
	if e == nil {
		return nil
	}
	return e.Stderr
}
