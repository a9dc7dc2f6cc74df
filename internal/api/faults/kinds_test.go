package faults_test

import "github.com/fundrail/fundrail/internal/pgproxy"

// kind is a fault that strikes a write.
type kind struct {
	name string
	pgproxy.Fault
	// early does the whole of it before the request is sent, in place of Fault.
	early func(*pgproxy.Proxy)
	// struck is called when the fault has struck, while the request waits.
	struck func(*pgproxy.Proxy)
	// late keeps the fault up until the write's doubt is resolved. Otherwise it ends
	// when the request was answered.
	late bool
	// alone reports that only the connection that was struck suffers, for a while in
	// which another merchant's request must be answered as usual.
	alone bool
	// refused reports that the write is answered with 503. Others are answered with 2xx.
	refused func(write) bool
	// doubtful reports that the answer comes while the write is in doubt.
	doubtful bool
	// permanent reports that the server refuses later requests in a way that trying
	// again does not mend, so that they are answered with 500.
	permanent bool
}

// claim is in every transaction of a write, and is no other statement's.
const claim = "insert into idempotency_keys"

func explicit(w write) bool { return !w.implicit }

func always(write) bool { return true }

func never(write) bool { return false }

// kinds are the faults of real networks, servers and poolers.
func kinds() []kind {
	list := []kind{
		{name: "AfterCommit/Close", Fault: pgproxy.Fault{When: pgproxy.AfterCommit, Do: pgproxy.CloseConn}},
		{name: "AfterCommit/Reset", Fault: pgproxy.Fault{When: pgproxy.AfterCommit, Do: pgproxy.ResetConn}},
		{name: "AfterCommit/08P01", Fault: answering(pgproxy.AfterCommit, pgproxy.ServerConnCrashed)},
		{name: "AfterCommit/57P01", Fault: answering(pgproxy.AfterCommit, pgproxy.AdminShutdown)},
		{name: "AfterCommit/40003", Fault: answering(pgproxy.AfterCommit, pgproxy.CompletionUnknown)},
		{name: "AfterCommit/HoldAnswer", Fault: pgproxy.Fault{When: pgproxy.AfterCommit, Do: pgproxy.HoldAnswer}, alone: true},
		{name: "AfterCommit/FreezeConn", Fault: pgproxy.Fault{When: pgproxy.AfterCommit, Do: pgproxy.FreezeConn}, alone: true, late: true},
		{name: "AfterCommit/FreezeToClient", Fault: pgproxy.Fault{When: pgproxy.AfterCommit, Do: pgproxy.FreezeToClient}, alone: true, late: true},
		{name: "AfterCommit/FreezeToServer", Fault: pgproxy.Fault{When: pgproxy.AfterCommit, Do: pgproxy.FreezeToServer}, late: true},

		// The second attempt finds the key taken by the first, and the answer to its own
		// COMMIT, which stores nothing, is lost as well.
		{name: "AfterCommit/CloseTwice", Fault: pgproxy.Fault{When: pgproxy.AfterCommit, Do: pgproxy.CloseConn, Times: 2}},

		{name: "BeforeCommit/Close", Fault: pgproxy.Fault{When: pgproxy.BeforeCommit, Do: pgproxy.CloseConn}},
		{name: "BeforeCommit/Reset", Fault: pgproxy.Fault{When: pgproxy.BeforeCommit, Do: pgproxy.ResetConn}},
		{name: "BeforeCommit/08P01", Fault: answering(pgproxy.BeforeCommit, pgproxy.ServerConnCrashed)},
		{name: "BeforeCommit/40003", Fault: answering(pgproxy.BeforeCommit, pgproxy.CompletionUnknown)},
		{name: "BeforeCommit/HoldRequest", Fault: pgproxy.Fault{When: pgproxy.BeforeCommit, Do: pgproxy.HoldRequest}, alone: true},
		{name: "BeforeCommit/HoldRequestUntilResolved", Fault: pgproxy.Fault{When: pgproxy.BeforeCommit, Do: pgproxy.HoldRequest}, alone: true, late: true},
		{name: "BeforeCommit/FreezeConn", Fault: pgproxy.Fault{When: pgproxy.BeforeCommit, Do: pgproxy.FreezeConn}, alone: true, late: true},

		// A statement that fails proves that nothing is stored, unless it is the commit as
		// well.
		{name: "BeforeWrite/Close", Fault: pgproxy.Fault{When: pgproxy.BeforeWrite, Do: pgproxy.CloseConn}, refused: explicit},
		{name: "BeforeWrite/FreezeConn", Fault: pgproxy.Fault{When: pgproxy.BeforeWrite, Do: pgproxy.FreezeConn}, late: true, alone: true, refused: explicit},
		{name: "BeforeWrite/HoldRequest", Fault: pgproxy.Fault{When: pgproxy.BeforeWrite, Do: pgproxy.HoldRequest}, late: true, alone: true, refused: explicit},

		{name: "AllFrozen", early: (*pgproxy.Proxy).FreezeAll, refused: always},
		{
			name: "AllFrozenAfterCommit", Fault: pgproxy.Fault{When: pgproxy.AfterCommit, Do: pgproxy.HoldAnswer},
			struck: (*pgproxy.Proxy).FreezeAll, doubtful: true,
		},
		{
			name: "AllFrozenBeforeCommit", Fault: pgproxy.Fault{When: pgproxy.BeforeCommit, Do: pgproxy.HoldRequest},
			struck: (*pgproxy.Proxy).FreezeAll, doubtful: true,
		},
		{name: "NoConnections", early: disconnect, refused: always},
		{
			name: "NoConnectionsAfterCommit", Fault: pgproxy.Fault{When: pgproxy.AfterCommit, Do: pgproxy.HoldAnswer},
			struck: disconnect, doubtful: true,
		},
		{
			name: "NoConnectionsBeforeCommit", Fault: pgproxy.Fault{When: pgproxy.BeforeCommit, Do: pgproxy.HoldRequest},
			struck: disconnect, doubtful: true,
		},
		{
			name: "LoginRefusedAfterCommit", Fault: pgproxy.Fault{When: pgproxy.AfterCommit, Do: pgproxy.HoldAnswer},
			struck: fence, doubtful: true,
		},
		{
			name: "PermissionRevokedAfterCommit", Fault: pgproxy.Fault{When: pgproxy.AfterCommit, Do: pgproxy.HoldAnswer},
			struck: revoke, doubtful: true, permanent: true,
		},
	}
	for name, err := range map[string]pgproxy.Error{
		"DiskFull": {Severity: "ERROR", Code: "53100", Message: "could not extend file: No space left on device"},
		"ReadOnly": {Severity: "ERROR", Code: "25006", Message: "cannot execute INSERT in a read-only transaction"},
		"Canceled": {Severity: "ERROR", Code: "57014", Message: "canceling statement due to statement timeout"},
	} {
		list = append(list, kind{name: "BeforeWrite/" + name, Fault: answering(pgproxy.BeforeWrite, err), refused: always})
	}
	for i := range list {
		list[i].SQL = claim
		if list[i].refused == nil {
			list[i].refused = never
		}
	}
	return list
}

func answering(when pgproxy.When, err pgproxy.Error) pgproxy.Fault {
	return pgproxy.Fault{When: when, Do: pgproxy.AnswerError, Error: err}
}

// disconnect is a server that has gone and refuses new connections.
func disconnect(p *pgproxy.Proxy) {
	p.RefuseNew(true)
	p.CloseAll()
}

// fence is an operator who ends all sessions of the service's role and lets it log in
// no more, as before a failover.
func fence(p *pgproxy.Proxy) {
	p.Inject(pgproxy.Fault{
		When: pgproxy.Connect, Do: pgproxy.AnswerError, Times: pgproxy.Always,
		Error: pgproxy.Error{Severity: "FATAL", Code: "28000", Message: `role "fundrail" is not permitted to log in`},
	})
	p.CloseAll()
}

// revoke is an operator who ends all sessions and has taken the role's right to write.
func revoke(p *pgproxy.Proxy) {
	p.Inject(pgproxy.Fault{
		When: pgproxy.BeforeWrite, Do: pgproxy.AnswerError, Times: pgproxy.Always,
		Error: pgproxy.Error{Severity: "ERROR", Code: "42501", Message: "permission denied for table idempotency_keys"},
	})
	p.CloseAll()
}
