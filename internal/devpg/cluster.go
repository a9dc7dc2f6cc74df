package devpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// undefinedDatabase is an SQLSTATE.
const undefinedDatabase = "3D000"

// initCluster creates an empty cluster in the home. It renames the directory only
// when it is complete, so that a killed run leaves nothing that looks like a
// cluster.
func initCluster(ctx context.Context, bins binaries, h *home, password string, sync bool) error {
	raw := h.path(dataName + ".new")
	if err := os.RemoveAll(raw); err != nil {
		return err
	}
	pwfile := h.path("initdb.password")
	if err := os.WriteFile(pwfile, []byte(password+"\n"), 0o600); err != nil {
		return err
	}
	defer os.Remove(pwfile)
	if err := errors.Join(os.Mkdir(raw, 0o700), h.account.own(raw), h.account.own(pwfile)); err != nil {
		return err
	}
	args := []string{
		"--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--pgdata=" + raw,
		"--pwfile=" + pwfile, "--username=" + role,
	}
	if !sync {
		args = append(args, "--no-sync")
	}
	out, err := h.account.command(ctx, bins.path("initdb"), args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("initdb: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return os.Rename(raw, h.data)
}

// exec runs one statement in the named database.
func (s *Server) exec(ctx context.Context, name, sql string) error {
	conn, err := pgx.Connect(ctx, s.URL(name))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, sql)
	return errors.Join(err, conn.Close(ctx))
}

// nameDatabase renames initdb's database to our name, unless that was done before.
// A new database would make every copy of the cluster a third larger.
func (s *Server) nameDatabase(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, s.DatabaseURL())
	if err == nil {
		return conn.Close(ctx)
	}
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) || pgErr.Code != undefinedDatabase {
		return err
	}
	return s.exec(ctx, "template1", "ALTER DATABASE postgres RENAME TO "+database)
}
