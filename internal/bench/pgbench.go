package bench

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// tpcbScale is the scale of pgbench's tables: 20 branches and 2,000,000 accounts.
const tpcbScale = 20

// insertScript is the smallest transaction that writes: it inserts one row.
const insertScript = `\set account random(1, 2000000)
\set amount random(1, 100000)
begin;
insert into bench_rows (account, amount) values (:account, :amount);
commit;
`

// pgbench is PostgreSQL's load generator. It uses its own database.
type pgbench struct {
	binary string
	env    []string
	script string
	dir    string
}

// newPgbench creates the database and fills pgbench's tables.
func (b *bench) newPgbench(ctx context.Context) (*pgbench, error) {
	p := &pgbench{binary: filepath.Join(b.server.BinDir(), "pgbench"), dir: b.dir, script: filepath.Join(b.dir, "insert.sql")}
	if _, err := os.Stat(p.binary); err != nil {
		if p.binary, err = exec.LookPath("pgbench"); err != nil {
			return nil, errors.New("pgbench is missing: it comes with PostgreSQL's server (Debian and Ubuntu: the package postgresql-contrib or postgresql)")
		}
	}
	if err := os.WriteFile(p.script, []byte(insertScript), 0o600); err != nil {
		return nil, err
	}
	const name = "tpcb"
	if _, err := b.admin.Exec(ctx, "create database "+name); err != nil {
		return nil, err
	}
	u, err := url.Parse(b.server.URL(name))
	if err != nil {
		return nil, err
	}
	password, _ := u.User.Password()
	p.env = []string{
		"PGHOST=" + u.Hostname(), "PGPORT=" + u.Port(), "PGUSER=" + u.User.Username(), "PGPASSWORD=" + password,
		"PGDATABASE=" + name, "PGSSLMODE=disable",
	}
	if _, err := p.run(ctx, "-i", "-q", "-s", strconv.Itoa(tpcbScale)); err != nil {
		return nil, err
	}
	return p, b.inDatabase(ctx, name, `create table bench_rows (
		id bigint generated always as identity primary key, account integer not null, amount integer not null)`)
}

func (p *pgbench) run(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, p.binary, args...) //nolint:gosec // pgbench's path, found above
	cmd.Dir, cmd.Env = p.dir, p.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("pgbench %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

var tpsLine = regexp.MustCompile(`(?m)^tps = ([0-9.]+)`)

// rate runs transactions for d and returns their number per second.
func (p *pgbench) rate(ctx context.Context, clients int, d time.Duration, args ...string) (float64, error) {
	args = append([]string{
		"-n", "-M", "prepared", "-c", strconv.Itoa(clients), "-j", strconv.Itoa(min(clients, runtime.NumCPU())),
		"-T", strconv.Itoa(wholeSeconds(d)),
	}, args...)
	out, err := p.run(ctx, args...)
	if err != nil {
		return 0, err
	}
	match := tpsLine.FindStringSubmatch(out)
	if match == nil {
		return 0, fmt.Errorf("pgbench prints no rate:\n%s", out)
	}
	return strconv.ParseFloat(match[1], 64) //nolint:forbidigo // a rate, not money
}

// tpcb returns the rate of TPC-B-like transactions.
func (p *pgbench) tpcb(ctx context.Context, clients int, d time.Duration) (float64, error) {
	return p.rate(ctx, clients, d)
}

// inserts returns the rate of one-row transactions.
func (p *pgbench) inserts(ctx context.Context, clients int, d time.Duration) (float64, error) {
	return p.rate(ctx, clients, d, "-f", p.script)
}

// commit returns the latency of one client's one-row transactions.
func (p *pgbench) commit(ctx context.Context, d time.Duration) (Latency, error) {
	prefix := filepath.Join(p.dir, "commits")
	if _, err := p.rate(ctx, 1, d, "-f", p.script, "-l", "--log-prefix="+prefix); err != nil {
		return Latency{}, err
	}
	logs, _ := filepath.Glob(prefix + ".*")
	var all []time.Duration
	for _, log := range logs {
		content, err := os.ReadFile(log) //nolint:gosec // a file of pgbench in our directory
		if err != nil {
			return Latency{}, err
		}
		for line := range strings.Lines(string(content)) {
			const microseconds = 2
			fields := strings.Fields(line)
			if len(fields) <= microseconds {
				continue
			}
			n, err := strconv.ParseInt(fields[microseconds], 10, 64)
			if err != nil {
				return Latency{}, fmt.Errorf("read pgbench's log: %w", err)
			}
			all = append(all, time.Duration(n)*time.Microsecond)
		}
		if err := os.Remove(log); err != nil {
			return Latency{}, err
		}
	}
	return newLatency(slices.Clip(all)), nil
}

// wholeSeconds converts d to pgbench's unit, rounded and at least 1.
func wholeSeconds(d time.Duration) int { return max(1, int((d+time.Second/2)/time.Second)) }
