package testdb

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/devpg"
)

// TestServerOfDatabaseURL plays runs that share one server, as with DATABASE_URL.
func TestServerOfDatabaseURL(t *testing.T) {
	t.Parallel()

	// setup returns the address of a server for this test alone.
	setup := func(t *testing.T) string {
		t.Helper()
		pg, err := devpg.Start(t.Context(), devpg.Options{})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, pg.Stop(context.WithoutCancel(t.Context()))) })
		return pg.DatabaseURL()
	}
	startRun := func(t *testing.T, address string, sch schema) *server {
		t.Helper()
		s, err := start(t.Context(), address, sch)
		require.NoError(t, err)
		t.Cleanup(func() {
			if s.hold != nil {
				require.NoError(t, s.close(context.WithoutCancel(t.Context())))
			}
		})
		return s
	}
	// die ends a run the way a killed one ends: its connections are cut.
	die := func(t *testing.T, s *server) {
		t.Helper()
		require.NoError(t, s.close(t.Context()))
		s.hold = nil
	}
	create := func(t *testing.T, s *server) string {
		t.Helper()
		name, err := s.createDatabase(t.Context(), false)
		require.NoError(t, err)
		conn, err := pgx.Connect(t.Context(), s.url(name))
		require.NoError(t, err)
		_, err = conn.Exec(t.Context(), "SELECT FROM made")
		require.NoError(t, err)
		require.NoError(t, conn.Close(t.Context()))
		return name
	}
	requireDatabases := func(t *testing.T, address string, want ...string) {
		t.Helper()
		conn, err := pgx.Connect(t.Context(), address)
		require.NoError(t, err)
		defer conn.Close(context.WithoutCancel(t.Context()))
		rows, _ := conn.Query(t.Context(), "SELECT datname FROM pg_database WHERE starts_with(datname, 'fundrail_')")
		names, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		require.ElementsMatch(t, want, names)
	}

	t.Run("RunsShareATemplate", func(t *testing.T) {
		t.Parallel()

		address := setup(t)
		sch, made := testSchema(t, "shared")
		a, b := startRun(t, address, sch), startRun(t, address, sch)

		requireDatabases(t, address, create(t, a), create(t, b), "fundrail_template_shared")
		require.Equal(t, 1, *made)
	})

	t.Run("ConcurrentRunsMakeOneTemplate", func(t *testing.T) {
		t.Parallel()

		address := setup(t)
		other, err := url.Parse(address)
		require.NoError(t, err)
		other.Path = "/template1" // where the first one's advisory lock isn't seen
		sch, _ := testSchema(t, "raced")
		var second *server
		inner := sch.migrate
		sch.migrate = func(ctx context.Context, pool *pgxpool.Pool) error {
			plain := sch
			plain.migrate = inner
			var err error
			if second, err = start(ctx, other.String(), plain); err != nil {
				return err
			}
			return inner(ctx, pool)
		}

		first := startRun(t, address, sch)

		require.NoError(t, second.close(t.Context()))
		requireDatabases(t, address, create(t, first), "fundrail_template_raced")
	})

	t.Run("RemainsOfDeadRunsGo", func(t *testing.T) {
		t.Parallel()

		address := setup(t)
		oldSchema, _ := testSchema(t, "old")
		newSchema, _ := testSchema(t, "new")
		dead, living := startRun(t, address, oldSchema), startRun(t, address, oldSchema)
		create(t, dead)
		kept := create(t, living)
		die(t, dead)

		third := startRun(t, address, newSchema)
		requireDatabases(t, address, kept, "fundrail_template_old", "fundrail_template_new")
		die(t, third)
		die(t, living)

		fourth := startRun(t, address, newSchema)
		requireDatabases(t, address, create(t, fourth), "fundrail_template_new")
	})

	t.Run("LeavesOtherDatabasesAlone", func(t *testing.T) {
		t.Parallel()

		address := setup(t)
		conn, err := pgx.Connect(t.Context(), address)
		require.NoError(t, err)
		defer conn.Close(context.WithoutCancel(t.Context()))
		for _, name := range []string{"fundrail_test_mine", "fundrail_test_", "fundrail_testing_1_1"} {
			_, err = conn.Exec(t.Context(), "CREATE DATABASE "+name)
			require.NoError(t, err)
		}
		_, err = conn.Exec(t.Context(), "CREATE ROLE stranger; CREATE DATABASE fundrail_test_00000001_1 OWNER stranger")
		require.Error(t, err) // not in one transaction
		_, err = conn.Exec(t.Context(), "CREATE ROLE stranger")
		require.NoError(t, err)
		_, err = conn.Exec(t.Context(), "CREATE DATABASE fundrail_test_00000001_1 OWNER stranger")
		require.NoError(t, err)
		sch, _ := testSchema(t, "careful")

		startRun(t, address, sch)

		requireDatabases(t, address, "fundrail_test_mine", "fundrail_test_", "fundrail_testing_1_1",
			"fundrail_test_00000001_1", "fundrail_template_careful")
		var tables int
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_class WHERE relname = 'made'").Scan(&tables))
		require.Zero(t, tables, "the named database is not ours to write to")
	})

	t.Run("LostTemplateIsMadeAgain", func(t *testing.T) {
		t.Parallel()

		address := setup(t)
		sch, made := testSchema(t, "lost")
		s := startRun(t, address, sch)
		require.NoError(t, s.dropDatabase(t.Context(), s.templateName()))

		create(t, s)

		require.Equal(t, 2, *made)
	})

	t.Run("FailedTemplateLeavesNothing", func(t *testing.T) {
		t.Parallel()

		address := setup(t)
		broken := schema{fingerprint: "broken", migrate: func(context.Context, *pgxpool.Pool) error {
			return errors.New("no such column")
		}}

		_, err := start(t.Context(), address, broken)

		require.ErrorContains(t, err, "create a template database: no such column")
		requireDatabases(t, address)
	})

	t.Run("TakesKeywordsAndValues", func(t *testing.T) {
		t.Parallel()

		u, err := url.Parse(setup(t))
		require.NoError(t, err)
		password, _ := u.User.Password()
		sch, _ := testSchema(t, "keywords")

		s := startRun(t, fmt.Sprintf("host=%s port=%s user=%s password=%s dbname=fundrail",
			u.Hostname(), u.Port(), u.User.Username(), password), sch)

		create(t, s)
	})

	t.Run("SaysWhatIsMissing", func(t *testing.T) {
		t.Parallel()

		address := setup(t)
		conn, err := pgx.Connect(t.Context(), address)
		require.NoError(t, err)
		defer conn.Close(context.WithoutCancel(t.Context()))
		_, err = conn.Exec(t.Context(), "CREATE ROLE modest LOGIN PASSWORD 'modest'")
		require.NoError(t, err)
		u, err := url.Parse(address)
		require.NoError(t, err)
		u.User = url.UserPassword("modest", "modest")

		_, err = start(t.Context(), u.String(), currentSchema())

		require.ErrorContains(t, err, "DATABASE_URL")
		require.ErrorContains(t, err, "permission denied to create database")
	})

	t.Run("NoServer", func(t *testing.T) {
		t.Parallel()

		_, err := start(t.Context(), "postgres://u:secret-word@127.0.0.1:1/db", currentSchema())

		require.ErrorContains(t, err, "DATABASE_URL")
		require.NotContains(t, err.Error(), "secret-word")
	})
}

func TestPrivateServer(t *testing.T) {
	t.Parallel()

	s, err := start(t.Context(), "", currentSchema())
	require.NoError(t, err)
	name, err := s.createDatabase(t.Context(), false)
	require.NoError(t, err)
	require.NoError(t, s.dropDatabase(t.Context(), name))

	require.NoError(t, s.close(t.Context()))

	require.Zero(t, s.private.PID())
}
