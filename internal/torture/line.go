package torture

import (
	"context"

	"github.com/fundrail/fundrail/internal/pgproxy"
)

// lineFault is a fault of the line between a process and PostgreSQL. It strikes single
// requests by fault, or all connections by begin and end.
type lineFault struct {
	name       string
	fault      pgproxy.Fault
	begin, end func(*pgproxy.Proxy)
}

// accepting is in the statement that stores new payments and in no other.
const accepting = "insert into payments"

// lineFaults are the faults of the line. Those after a commit make it unknown whether
// the commit happened.
var lineFaults = []lineFault{
	{name: "closed after a commit", fault: pgproxy.Fault{When: pgproxy.AfterCommit, Do: pgproxy.CloseConn, SQL: accepting}},
	{name: "reset after a commit", fault: pgproxy.Fault{When: pgproxy.AfterCommit, Do: pgproxy.ResetConn, Times: 3}},
	{name: "a pooler's error after a commit", fault: pgproxy.Fault{
		When: pgproxy.AfterCommit, Do: pgproxy.AnswerError, Error: pgproxy.ServerConnCrashed, SQL: accepting,
	}},
	{name: "a shutdown after a commit", fault: pgproxy.Fault{
		When: pgproxy.AfterCommit, Do: pgproxy.AnswerError, Error: pgproxy.AdminShutdown, Times: 3,
	}},
	{name: "a commit whose completion is unknown", fault: pgproxy.Fault{
		When: pgproxy.AfterCommit, Do: pgproxy.AnswerError, Error: pgproxy.CompletionUnknown, SQL: accepting,
	}},
	{name: "a commit with a late answer", fault: pgproxy.Fault{When: pgproxy.AfterCommit, Do: pgproxy.HoldAnswer, SQL: accepting}},
	{name: "silent after a commit", fault: pgproxy.Fault{When: pgproxy.AfterCommit, Do: pgproxy.FreezeConn, SQL: accepting}},
	{name: "silent after a commit, for every new payment", fault: pgproxy.Fault{
		When: pgproxy.AfterCommit, Do: pgproxy.FreezeConn, SQL: accepting, Times: pgproxy.Always,
	}},
	{name: "a commit that arrives late", fault: pgproxy.Fault{When: pgproxy.BeforeCommit, Do: pgproxy.HoldRequest, SQL: accepting}},
	{name: "one connection silent", fault: pgproxy.Fault{When: pgproxy.BeforeQuery, Do: pgproxy.FreezeConn}},
	{name: "one connection silent to the server", fault: pgproxy.Fault{When: pgproxy.BeforeQuery, Do: pgproxy.FreezeToServer}},
	{name: "three connections silent to the client", fault: pgproxy.Fault{When: pgproxy.BeforeQuery, Do: pgproxy.FreezeToClient, Times: 3}},
	{name: "new connections silent", fault: pgproxy.Fault{When: pgproxy.Connect, Do: pgproxy.FreezeConn, Times: pgproxy.Always}},
	{name: "no room for new connections", fault: pgproxy.Fault{
		When: pgproxy.Connect, Do: pgproxy.AnswerError, Error: pgproxy.TooManyConnections, Times: pgproxy.Always,
	}},
	{
		name: "all connections silent", begin: (*pgproxy.Proxy).FreezeAll, end: (*pgproxy.Proxy).Thaw,
	},
	{
		name:  "all connections closed and new ones refused",
		begin: func(p *pgproxy.Proxy) { p.RefuseNew(true); p.CloseAll() },
		end:   func(p *pgproxy.Proxy) { p.RefuseNew(false) },
	},
}

// breakLine disturbs the line between a process and PostgreSQL for a while.
func (s *storm) breakLine(ctx context.Context, a Action) {
	p, f := s.proxies[a.Process], lineFaults[a.Pick%uint64(len(lineFaults))]
	name := "line: " + f.name
	if f.begin != nil {
		f.begin(p)
		pause(ctx, a.For)
		f.end(p)
		s.keepReport(name, 1)
		return
	}
	injection := p.Inject(f.fault)
	pause(ctx, a.For)
	injection.Remove()
	s.keepReport(name, int64(injection.Struck()))
}
