package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// statementsLibrary is the extension that measures statements.
const statementsLibrary = "pg_stat_statements"

// libraryAt reports whether the extension is installed with the server's binaries.
func libraryAt(binDir string) bool {
	for _, place := range []string{"../lib", "../lib/postgresql"} {
		for _, suffix := range []string{".so", ".dylib"} {
			if _, err := os.Stat(filepath.Join(binDir, place, statementsLibrary+suffix)); err == nil {
				return true
			}
		}
	}
	return false
}

// profiled is load with profiling. It writes the profiles and the statistics of
// PostgreSQL's statements to ProfileDir.
func (b *bench) profiled(ctx context.Context, t *target, d *deck, l load) (Run, error) {
	if b.ProfileDir == "" {
		return b.load(ctx, t, d, l)
	}
	if err := os.MkdirAll(b.ProfileDir, 0o750); err != nil {
		return Run{}, err
	}
	if b.statements {
		if _, err := t.pool.Exec(ctx, "select pg_stat_statements_reset()"); err != nil {
			return Run{}, err
		}
	}
	problems := make(chan error, len(t.profiles))
	for i, addr := range t.profiles {
		go func() {
			name := filepath.Join(b.ProfileDir, fmt.Sprintf("%s-%d.cpu.pprof", t.name, i))
			problems <- fetch(ctx, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", addr, wholeSeconds(l.duration)), name)
		}()
	}
	r, err := b.load(ctx, t, d, l)
	for range t.profiles {
		if problem := <-problems; err == nil {
			err = problem
		}
	}
	for i, addr := range t.profiles {
		if err == nil {
			name := filepath.Join(b.ProfileDir, fmt.Sprintf("%s-%d.allocs.pprof", t.name, i))
			err = fetch(ctx, "http://"+addr+"/debug/pprof/allocs", name)
		}
	}
	if err == nil && b.statements {
		err = b.writeStatements(ctx, t, r)
	}
	return r, err
}

func fetch(ctx context.Context, address, to string) error {
	const limit = 2 * time.Minute
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s %s", address, res.Status, content)
	}
	return os.WriteFile(to, content, 0o600)
}

// writeStatements writes the cost of PostgreSQL's statements per settled payment.
func (b *bench) writeStatements(ctx context.Context, t *target, r Run) error {
	rows, err := t.pool.Query(ctx, `
		select calls, rows, plans, total_plan_time * 1000, total_exec_time * 1000, wal_bytes::bigint, regexp_replace(query, '\s+', ' ', 'g')
		from pg_stat_statements
		where dbid = (select oid from pg_database where datname = current_database())
		order by total_plan_time + total_exec_time desc limit 40`)
	if err != nil {
		return err
	}
	defer rows.Close()
	var out strings.Builder
	fmt.Fprintf(&out, "%d payments settled\n%8s %8s %8s %10s %10s %8s  %s\n", r.Settled,
		"calls", "rows", "plans", "plan us/p", "exec us/p", "WAL B/p", "statement")
	for rows.Next() {
		var (
			calls, count, plans, wal int64
			planning, us             float64
			query                    string
		)
		if err := rows.Scan(&calls, &count, &plans, &planning, &us, &wal, &query); err != nil {
			return err
		}
		const width = 160
		n := float64(r.Settled)
		fmt.Fprintf(&out, "%8d %8d %8d %10.1f %10.1f %8.0f  %.*s\n", calls, count, plans, over(planning, n), over(us, n),
			over(float64(wal), n), width, query)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.ProfileDir, t.name+".statements.txt"), []byte(out.String()), 0o600)
}
