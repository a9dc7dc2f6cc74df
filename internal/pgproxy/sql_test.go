package pgproxy

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSplit(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string][]kind{
		"":                                  nil,
		" ; -- nothing\n;":                  nil,
		"COMMIT":                            {commit},
		"/* a /* nested */ one */ end work": {commit},
		"begin; insert into t values (1); commit":                                {begin, write, commit},
		"start transaction isolation level serializable":                         {begin},
		"rollback to savepoint a; ROLLBACK":                                      {rollbackToSavepoint, rollback},
		"select ';commit', \";\", $$;$$, $a$;$$;$a$, e'\\';', 'a''b;'; select 1": {other, other},
		"insert into t values ($1, $2);update t set a = 1":                       {write, write},
		"with a as (select 1) select * from a":                                   {other},
		"with a as (delete from t returning *) select * from a":                  {write},
		"(select 1)":                 {other},
		"copy t from stdin":          {write},
		"copy (select 1) to stdout":  {other},
		"prepare transaction 'a'":    {rollback},
		"commit prepared 'a'":        {write},
		"rollback prepared 'a'":      {other},
		"create table t ()":          {write},
		"set local lock_timeout = 1": {other},
		"select 'unfinished":         {other},
	} {
		var got []kind
		for _, st := range split(sql) {
			got = append(got, st.kind)
		}
		require.Equal(t, want, got, sql)
	}
}
