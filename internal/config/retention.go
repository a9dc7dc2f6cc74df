package config

import (
	"errors"
	"fmt"
	"time"
)

// Retention is how long data is kept that money does not depend on. Everything else,
// including the audit trail, is kept for ever.
type Retention struct {
	// EventRetention is longer than Stripe keeps events and can send them again. An event
	// that came after its row was deleted would be handled again, without effect.
	EventRetention time.Duration `name:"event-retention" env:"EVENT_RETENTION" group:"Settings" default:"2160h" help:"How long handled events of Stripe are kept; 0 for ever."`
	// DeliveryRetention counts from the event. A pending delivery is kept whatever its
	// age.
	DeliveryRetention time.Duration `name:"delivery-retention" env:"DELIVERY_RETENTION" group:"Settings" default:"720h" help:"How long events for merchants, their deliveries and attempts are kept; 0 for ever."`
	// River deletes jobs by itself.
	CompletedJobRetention time.Duration `name:"completed-job-retention" env:"COMPLETED_JOB_RETENTION" group:"Settings" default:"24h" help:"How long completed jobs are kept."`
	FailedJobRetention    time.Duration `name:"failed-job-retention" env:"FAILED_JOB_RETENTION" group:"Settings" default:"168h" help:"How long canceled and discarded jobs are kept."`
}

const (
	leastEventRetention    = 31 * 24 * time.Hour // Stripe lists events for 30 days, and so do sweeps
	leastDeliveryRetention = 48 * time.Hour      // attempts go on for a day
)

// Check reports a retention that would delete what is still needed.
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
