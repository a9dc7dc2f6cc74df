package config

import (
	"errors"
	"fmt"
	"time"
)

// Retention is how long what money does not depend on is kept. What it does depend
// on, and the trail of who did what, is kept for ever.
type Retention struct {
	// EventRetention is longer than Stripe keeps events and lets them be sent again:
	// one that comes after its row is gone is handled anew, for nothing.
	EventRetention time.Duration `name:"event-retention" env:"EVENT_RETENTION" group:"Settings" default:"2160h" help:"How long handled events of Stripe's are kept; 0 for ever."`
	// DeliveryRetention counts from when it happened. What is still on its way to an
	// endpoint is kept however old it is.
	DeliveryRetention time.Duration `name:"delivery-retention" env:"DELIVERY_RETENTION" group:"Settings" default:"720h" help:"How long what merchants were told, and each attempt at telling them, is kept; 0 for ever."`
	// The last two are River's own.
	CompletedJobRetention time.Duration `name:"completed-job-retention" env:"COMPLETED_JOB_RETENTION" group:"Settings" default:"24h" help:"How long jobs are kept that were done."`
	FailedJobRetention    time.Duration `name:"failed-job-retention" env:"FAILED_JOB_RETENTION" group:"Settings" default:"168h" help:"How long jobs are kept that were canceled or given up."`
}

const (
	leastEventRetention    = 31 * 24 * time.Hour // Stripe lists events for 30 days, and so do sweeps
	leastDeliveryRetention = 48 * time.Hour      // attempts go on for a day
)

// Check reports what would be deleted while it can still be asked for.
func (r Retention) Check() error {
	var problems []error
	if r.EventRetention != 0 && r.EventRetention < leastEventRetention {
		problems = append(problems, fmt.Errorf("EVENT_RETENTION must be 0 or at least %s, because Stripe can send an event again for that long", leastEventRetention))
	}
	if r.DeliveryRetention != 0 && r.DeliveryRetention < leastDeliveryRetention {
		problems = append(problems, fmt.Errorf("DELIVERY_RETENTION must be 0 or at least %s", leastDeliveryRetention))
	}
	return errors.Join(append(problems,
		checkDuration("COMPLETED_JOB_RETENTION", r.CompletedJobRetention),
		checkDuration("FAILED_JOB_RETENTION", r.FailedJobRetention))...)
}
