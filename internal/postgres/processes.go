package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// ApplicationName is what Fundrail's connections are called in pg_stat_activity.
const ApplicationName = "fundrail"

const workerName = ApplicationName + " worker "

// ProcessName is what the connections of one process are called from here on. One
// that works jobs has a name of its own, by which the others count it: no table to
// keep, and a process that was killed is gone with its connections.
func ProcessName(works bool) string {
	if !works {
		return ApplicationName
	}
	const digits = 12 // a name has room for 63 bytes
	return workerName + strings.ReplaceAll(uuid.NewString(), "-", "")[:digits]
}

// CountWorkers counts the processes that work the jobs of this database. It sees
// those that connect as the same role.
func CountWorkers(ctx context.Context, db DB) (int, error) {
	var n int
	err := db.QueryRow(ctx, `
		select count(distinct application_name) from pg_stat_activity
		where datname = current_database() and starts_with(application_name, $1)`, workerName).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count processes: %w", err)
	}
	return n, nil
}
