package migrations_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/testdb"
	"github.com/fundrail/fundrail/migrations"
)

func TestMain(m *testing.M) { testdb.Main(m) }

func TestCheck(t *testing.T) {
	t.Parallel()

	latest := migrations.Latest()
	for name, tc := range map[string]struct {
		change  string
		problem string
	}{
		"AsBuilt":             {``, ""},
		"NotMigrated":         {`drop table goose_db_version`, "it is at version 0"},
		"Newer":               {`insert into goose_db_version (version_id, is_applied) values (9999, true)`, ""},
		"NewerAndUnsupported": {`insert into goose_db_version (version_id, is_applied) values (9999, true); update schema_floor set oldest_program = 9998`, "needs a program of version 9998 or newer"},
		"NewerWithoutFloor":   {`insert into goose_db_version (version_id, is_applied) values (9999, true); drop table schema_floor`, "run a newer fundrail"},
		"Older":               {`delete from goose_db_version where version_id = (select max(version_id) from goose_db_version)`, "run: fundrail migrate up"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			pool := testdb.New(t)
			_, err := pool.Exec(t.Context(), tc.change)
			require.NoError(t, err)

			err = migrations.Check(t.Context(), pool)

			if tc.problem == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, migrations.ErrUnknownSchema)
			require.ErrorContains(t, err, tc.problem)
		})
	}

	// A new database must support the program that created it.
	var floor int64
	require.NoError(t, testdb.New(t).QueryRow(t.Context(), `select oldest_program from schema_floor`).Scan(&floor))
	require.LessOrEqual(t, floor, latest)
}
