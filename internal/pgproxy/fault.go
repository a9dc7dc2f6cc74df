package pgproxy

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// When is the moment at which a fault strikes.
type When int

// The moments.
//
// A request is what the server answers with one ReadyForQuery: a simple Query, or
// the messages up to a Sync. Requests of up to 1 MiB are sent to the server in one
// piece, so that nothing of a request has reached the server before it. Of a
// larger one the server may have executed statements, but has committed none.
const (
	// Connect is when a client has sent its startup packet. The server hasn't been
	// dialed yet.
	Connect When = iota + 1
	// BeforeCommit is when the proxy holds a request that commits: a COMMIT in a
	// transaction, or the end of an implicit transaction that contains a write.
	BeforeCommit
	// AfterCommit is when the server has committed and has answered the whole
	// request, and no part of the answer has been relayed. A commit that the server
	// refuses or turns into a rollback doesn't count. Of an answer of more than 1 MiB
	// the client has got a part.
	AfterCommit
	// BeforeWrite is when the proxy holds a request with a statement that writes,
	// inside or outside an explicit transaction.
	BeforeWrite
	// BeforeQuery is when the proxy holds a request that executes any statement.
	// The preparation of a statement isn't one.
	BeforeQuery
	// AfterQuery is like AfterCommit for a request that executes any statement,
	// whether the server refuses it or not.
	AfterQuery
)

// Action is what a fault does.
type Action int

// The actions, each with the cause that it stands for in the real world. "The
// request" and "the answer" are those that the fault strikes; the request isn't
// sent to the server unless it says otherwise, and with After* it has been sent.
const (
	// CloseConn closes both sides in good order (FIN): the process of a server or
	// a pooler is killed, and its kernel closes its sockets.
	CloseConn Action = iota + 1
	// ResetConn closes the client's side with a RST: a firewall or a load balancer
	// has forgotten the connection, or a machine has restarted.
	ResetConn
	// AnswerError answers with the fault's Error. With severity FATAL or PANIC the
	// connection is closed after it: a pooler that has lost its server, an
	// administrator's shutdown, a server that starts up or is full. With ERROR the
	// connection goes on, and the server's transaction is in the state that such an
	// error leaves it in: a statement's error aborts it, a COMMIT's ends it.
	AnswerError
	// HoldAnswer holds the answer back until Release or for Delay: a synchronous
	// standby is gone and the commit waits for it, or packets are being sent again.
	// With Before* the request is sent. The effect of the commit is visible to
	// others at once, unlike with a standby.
	HoldAnswer
	// HoldRequest holds the request back until Release or for Delay, and then sends
	// it to the server even if the client has gone in the meantime: the late first
	// attempt. Cancel requests for the connection are lost from then on, as they are
	// after FreezeConn and FreezeToServer.
	HoldRequest
	// FreezeConn relays nothing in either direction any more. The sockets stay open,
	// and the server keeps the transaction and its locks: a broken network without
	// a RST. Release or Thaw ends it, and what was sent in the meantime arrives.
	FreezeConn
	// FreezeToClient relays nothing to the client any more, and still relays to the
	// server: a partition of one direction. With Before* the server gets the request
	// and executes it.
	FreezeToClient
	// FreezeToServer relays nothing to the server any more, and still relays to the
	// client. With After* the client gets the answer.
	FreezeToServer
)

// String returns the name of the action.
func (a Action) String() string {
	switch a {
	case CloseConn:
		return "CloseConn"
	case ResetConn:
		return "ResetConn"
	case AnswerError:
		return "AnswerError"
	case HoldAnswer:
		return "HoldAnswer"
	case HoldRequest:
		return "HoldRequest"
	case FreezeConn:
		return "FreezeConn"
	case FreezeToClient:
		return "FreezeToClient"
	case FreezeToServer:
		return "FreezeToServer"
	default:
		return fmt.Sprintf("Action(%d)", int(a))
	}
}

// Error is an error as a server sends it.
type Error struct {
	Severity string // ERROR, FATAL or PANIC
	Code     string // SQLSTATE
	Message  string
}

// fatal reports whether the connection ends with the error.
func (e Error) fatal() bool { return e.Severity != "ERROR" }

// Errors of real servers and poolers.
var (
	// ServerConnCrashed is what PgBouncer says when it loses its server in the
	// middle of a request.
	ServerConnCrashed = Error{Severity: "FATAL", Code: "08P01", Message: "server conn crashed?"}
	// AdminShutdown is what a server says when it is stopped with connections open,
	// or when pg_terminate_backend is called.
	AdminShutdown = Error{Severity: "FATAL", Code: "57P01", Message: "terminating connection due to administrator command"}
	// CrashShutdown is what a server says when another of its processes has died.
	CrashShutdown = Error{Severity: "FATAL", Code: "57P02", Message: "terminating connection because of crash of another server process"}
	// CannotConnectNow is what a server says that starts up.
	CannotConnectNow = Error{Severity: "FATAL", Code: "57P03", Message: "the database system is starting up"}
	// TooManyConnections is what a full server says.
	TooManyConnections = Error{Severity: "FATAL", Code: "53300", Message: "sorry, too many clients already"}
	// CompletionUnknown is what some proxies and distributed databases say when they
	// don't know whether a transaction has committed.
	CompletionUnknown = Error{Severity: "ERROR", Code: "40003", Message: "statement completion unknown"}
)

// ConnInfo describes a connection to Fault.Match.
type ConnInfo struct {
	// Number counts the connections that the proxy has accepted, from 1.
	Number int
	// ApplicationName, Database and User are parameters of the startup packet.
	ApplicationName string
	Database        string
	User            string
}

// Always is the Times of a fault that strikes until it is removed.
const Always = -1

// Fault is a rule that says when, where, what and how often.
type Fault struct {
	When When
	Do   Action
	// Error is what AnswerError says.
	Error Error
	// Delay ends HoldAnswer and HoldRequest, if Release hasn't before. Zero waits
	// for Release.
	Delay time.Duration
	// SQL limits the fault to requests with a statement that contains this text, in
	// any case of letters. For BeforeCommit and AfterCommit the statements of the
	// whole transaction count, up to its first 128 different ones. A prepared
	// statement counts as its text. The text of a statement of more than 1 MiB is
	// its beginning. Requests that were sent before Inject don't count.
	SQL string
	// Match limits the fault to connections. It mustn't call the proxy.
	Match func(ConnInfo) bool
	// Times is how often the fault strikes: once if zero, or Always.
	Times int
}

// check panics for a fault that could never strike as it says, which is a mistake
// in the calling program.
func (f Fault) check() {
	var problem string
	after := f.When == AfterCommit || f.When == AfterQuery
	switch {
	case f.When < Connect || f.When > AfterQuery:
		problem = "When is required"
	case f.Do < CloseConn || f.Do > FreezeToServer:
		problem = "Do is required"
	case f.Do == AnswerError && (f.Error.Severity == "" || f.Error.Code == ""):
		problem = "AnswerError needs an Error with severity and code"
	case f.Do == HoldRequest && after:
		problem = "HoldRequest comes too late after an answer"
	case f.Do == HoldAnswer && f.When == Connect:
		problem = "HoldAnswer isn't for Connect; use HoldRequest"
	case f.When == Connect && f.SQL != "":
		problem = "a connection has no SQL yet"
	}
	if problem != "" {
		panic("pgproxy: " + problem)
	}
}

// Injection is a fault in force.
type Injection struct {
	fault Fault
	proxy *Proxy

	fired     chan struct{}
	done      chan struct{}
	closeDone sync.Once

	// The proxy's mutex guards what follows.
	left     int           // how often it may still strike; negative for always
	taken    int           // how often it has begun to strike
	struck   int           // how often it has struck
	changed  chan struct{} // closed when struck grows
	released chan struct{} // closed when what is held now is to go on
	frozen   []*session
}

// Inject puts a fault into force, until it has struck Times times or is removed.
// When several could strike, the first one that was injected does. Inject panics
// for a fault that makes no sense.
func (p *Proxy) Inject(f Fault) *Injection {
	f.check()
	if f.Times == 0 {
		f.Times = 1
	}
	f.SQL = strings.ToLower(f.SQL)
	i := &Injection{
		fault: f, proxy: p, left: f.Times,
		fired: make(chan struct{}), done: make(chan struct{}),
		changed: make(chan struct{}), released: make(chan struct{}),
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.injections = append(p.injections, i)
	p.known[i] = struct{}{}
	p.armed.Store(true)
	return i
}

// Reset removes all faults, releases and thaws everything, and accepts
// connections again.
func (p *Proxy) Reset() {
	p.mu.Lock()
	injections := slices.Collect(maps.Keys(p.known))
	p.mu.Unlock()
	for _, i := range injections {
		i.Remove()
	}
	p.Thaw()
	p.RefuseNew(false)
}

// Fired is closed when the fault has struck for the first time: the connection is
// closed, the error is sent, or the data is held. With AfterCommit the server has
// committed by then.
func (i *Injection) Fired() <-chan struct{} { return i.fired }

// Done is closed when the first request that the fault struck can have no more
// effect than it has had: the server has answered it, or never gets it, because
// the connection has ended. With HoldRequest that is some time after Release.
func (i *Injection) Done() <-chan struct{} { return i.done }

// Struck returns how often the fault has struck.
func (i *Injection) Struck() int {
	i.proxy.mu.Lock()
	defer i.proxy.mu.Unlock()
	return i.struck
}

// Wait returns when the fault has struck n times, or with the error of ctx.
func (i *Injection) Wait(ctx context.Context, n int) error {
	for {
		i.proxy.mu.Lock()
		struck, changed := i.struck, i.changed
		i.proxy.mu.Unlock()
		if struck >= n {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Release lets go on what the fault holds or has frozen until now. The fault stays
// in force.
func (i *Injection) Release() {
	i.proxy.mu.Lock()
	close(i.released)
	i.released = make(chan struct{})
	frozen := i.frozen
	i.frozen = nil
	i.proxy.mu.Unlock()
	for _, s := range frozen {
		s.thaw()
	}
}

// Remove takes the fault out of force and releases what it holds.
func (i *Injection) Remove() {
	i.proxy.mu.Lock()
	i.proxy.drop(i)
	delete(i.proxy.known, i)
	i.proxy.mu.Unlock()
	i.Release()
}

// drop takes an injection off the list. The caller holds p.mu.
func (p *Proxy) drop(i *Injection) {
	if at := slices.Index(p.injections, i); at >= 0 {
		p.injections = slices.Delete(p.injections, at, at+1)
	}
	p.armed.Store(len(p.injections) > 0)
}

// strike is one striking of a fault.
type strike struct {
	*Injection
	first   bool
	release <-chan struct{}
}

// moments is a set of When.
type moments uint

func (m moments) with(w When) moments  { return m | 1<<w }
func (m moments) contains(w When) bool { return m&(1<<w) != 0 }

// take finds the fault that strikes at one of the moments, and counts it.
func (p *Proxy) take(at moments, info ConnInfo, statements []string) *strike {
	if at == 0 || !p.armed.Load() {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, i := range p.injections {
		if !i.matches(at, info, statements) {
			continue
		}
		if i.left > 0 {
			if i.left--; i.left == 0 {
				p.drop(i)
			}
		}
		i.taken++
		return &strike{Injection: i, first: i.taken == 1, release: i.released}
	}
	return nil
}

// expects reports whether take could find a fault.
func (p *Proxy) expects(at moments, info ConnInfo, statements []string) bool {
	if at == 0 || !p.armed.Load() {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.injections, func(i *Injection) bool { return i.matches(at, info, statements) })
}

func (i *Injection) matches(at moments, info ConnInfo, statements []string) bool {
	f := &i.fault
	return at.contains(f.When) && (f.Match == nil || f.Match(info)) &&
		(f.SQL == "" || slices.ContainsFunc(statements, func(sql string) bool {
			return strings.Contains(strings.ToLower(sql), f.SQL)
		}))
}

// fire says that the fault has struck.
func (st *strike) fire() {
	p := st.proxy
	p.mu.Lock()
	defer p.mu.Unlock()
	p.struck[st.fault.Do]++
	if st.struck++; st.struck == 1 {
		close(st.fired)
	}
	close(st.changed)
	st.changed = make(chan struct{})
}

// finish says that the request is over, if the strike was the first.
func (st *strike) finish() {
	if st != nil && st.first {
		st.closeDone.Do(func() { close(st.done) })
	}
}

// freeze shuts gates of the session, which Release opens. Nothing is frozen if
// Release has been called since the fault was taken.
func (st *strike) freeze(s *session, gates ...*gate) {
	st.proxy.mu.Lock()
	defer st.proxy.mu.Unlock()
	select {
	case <-st.release:
		return
	default:
	}
	for _, g := range gates {
		g.shut()
	}
	st.frozen = append(st.frozen, s)
}
