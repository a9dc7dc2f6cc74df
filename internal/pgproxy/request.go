package pgproxy

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"slices"
)

// maxStatements is how many different statements of a transaction are remembered.
const maxStatements = 128

// requests is the client's side of a session: what it has prepared, and what it is
// about to send.
type requests struct {
	*session
	server net.Conn
	out    []byte // messages that have not been sent yet

	prepared map[string][]statement
	portals  map[string][]statement

	current   []statement // that the current request executes
	predicted byte        // the transaction's status when all that was sent is done
	ofTx      []string    // statements of the open transaction
}

// relayRequests relays what the client sends until either side ends.
func (s *session) relayRequests(in *bufio.Reader, server net.Conn) {
	r := requests{
		session: s, server: server, predicted: idle,
		prepared: map[string][]statement{}, portals: map[string][]statement{},
	}
	for r.relayOne(in) {
	}
}

// relayOne relays one message and reports whether there may be more.
func (r *requests) relayOne(in *bufio.Reader) bool {
	kind, size, err := header(in)
	if err != nil || r.ended() {
		return false
	}
	if len(r.out)+size > maxHeld && !r.flush() {
		return false
	}
	if size > maxHeld {
		return r.relayLarge(in, kind, size)
	}
	start := len(r.out)
	if r.out, err = appendMessage(r.out, in, size); err != nil {
		return false
	}
	r.note(kind, r.out[start+headerSize:])
	switch kind {
	case 'Q', 'F', 'S':
		// A replaced request isn't in out any more.
		return r.dispatch(kind) != nothing && r.flush()
	case 'P', 'B', 'D', 'E', 'C':
		// The server need not see these before the Sync or the Flush that follows.
		return true
	case 'd':
		if hasMessage(in) && len(r.out) < flushSize {
			return true
		}
	}
	return r.flush()
}

// relayLarge relays a message that is too large to be held. What matters of it
// stands at its beginning.
func (r *requests) relayLarge(in *bufio.Reader, kind byte, size int) bool {
	beginning, err := in.Peek(in.Size())
	if err != nil {
		return false
	}
	r.note(kind, bytes.Clone(beginning[headerSize:]))
	if kind == 'Q' || kind == 'F' {
		switch r.dispatch(kind) {
		case nothing:
			return false
		case another:
			_, err := io.CopyN(io.Discard, in, int64(size))
			return err == nil && r.flush()
		case itself:
		}
	}
	if !r.pass(&r.toServer, nil) {
		return false
	}
	_, err = io.CopyN(r.server, in, int64(size))
	return err == nil
}

// flush sends what has gathered.
func (r *requests) flush() bool {
	if len(r.out) == 0 {
		return true
	}
	if !r.pass(&r.toServer, nil) {
		return false
	}
	_, err := r.server.Write(r.out)
	if cap(r.out) > flushSize {
		r.out = nil
	}
	r.out = r.out[:0]
	return err == nil
}

// note takes from a message's body which statements exist and are executed.
func (r *requests) note(kind byte, body []byte) {
	switch kind {
	case 'Q':
		sql, _ := cutText(body)
		r.current = append(r.current, split(sql)...)
	case 'P':
		name, rest := cutText(body)
		sql, _ := cutText(rest)
		r.prepared[name] = []statement{classify(sql)}
	case 'B':
		portal, rest := cutText(body)
		name, _ := cutText(rest)
		r.portals[portal] = r.prepared[name]
	case 'E':
		portal, _ := cutText(body)
		r.current = append(r.current, r.portals[portal]...)
	case 'C':
		if len(body) < 2 {
			return
		}
		name, _ := cutText(body[1:])
		if body[0] == 'S' {
			delete(r.prepared, name)
		} else {
			delete(r.portals, name)
		}
	}
}

// cutText cuts a text that ends with a zero byte, or is cut off.
func cutText(body []byte) (text string, rest []byte) {
	before, rest, _ := bytes.Cut(body, []byte{0})
	return string(before), rest
}

// verdict is what is to be sent of a request.
type verdict int

const (
	nothing verdict = iota // the session is over
	itself
	another // requests.out has something in its place
)

// dispatch lets faults strike the request that the current message ends, and notes
// that its answer will come.
func (r *requests) dispatch(kind byte) verdict {
	if kind == 'S' && r.isIgnored() {
		return itself
	}
	req := r.request(kind == 'S')
	st := r.proxy.take(req.before, r.info, req.statements)
	sent := itself
	if st != nil {
		req.strike = st
		switch {
		case st.fault.Do == AnswerError && !st.fault.Error.fatal():
			req.failWith = &st.fault.Error
			r.out = appendQuery(r.out[:0], r.failing(req))
			sent = another
		case !r.suffer(st):
			return nothing
		}
	}
	r.mu.Lock()
	r.pending = append(r.pending, req)
	r.mu.Unlock()
	return sent
}

// isIgnored reports whether the server skips this Sync, which then has no answer.
func (r *requests) isIgnored() bool {
	if len(r.current) > 0 {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ignored == 0 {
		return false
	}
	// The request was noted at its first Sync, and this one's answer is its answer.
	r.ignored--
	return true
}

// request sums up the current statements and begins the next request.
func (r *requests) request(extended bool) request {
	r.mu.Lock()
	status := r.predicted
	if len(r.pending) == 0 {
		status = r.status
	}
	r.mu.Unlock()
	if status == idle {
		r.ofTx = r.ofTx[:0]
	}
	req := request{extended: extended}
	armed := r.proxy.armed.Load()
	written, writes := false, false // outside a transaction, and anywhere
	for _, st := range r.current {
		r.remember(st.sql)
		switch st.kind {
		case begin:
			status, written = inTx, false
		case commit:
			req.commits = req.commits || status == inTx || written
			status, written = idle, false
		case rollback:
			status, written = idle, false
		case rollbackToSavepoint:
			if status == failed {
				status = inTx
			}
		case write:
			writes = true
			written = written || status == idle
		case other:
		}
	}
	req.implicit = written
	if len(r.current) > 0 {
		req.before, req.after = req.before.with(BeforeQuery), req.after.with(AfterQuery)
	}
	if writes {
		req.before = req.before.with(BeforeWrite)
	}
	if req.commits || req.implicit {
		req.before, req.after = req.before.with(BeforeCommit), req.after.with(AfterCommit)
	}
	if armed {
		req.statements = r.texts(req.commits)
	}
	if status == idle {
		r.ofTx = r.ofTx[:0]
	}
	r.predicted = status
	r.current = r.current[:0]
	return req
}

// texts lists the statements that Fault.SQL is compared with.
func (r *requests) texts(whole bool) []string {
	if whole {
		return slices.Clone(r.ofTx)
	}
	texts := make([]string, len(r.current))
	for i, st := range r.current {
		texts[i] = st.sql
	}
	return texts
}

func (r *requests) remember(sql string) {
	if len(r.ofTx) < maxStatements && !slices.Contains(r.ofTx, sql) {
		r.ofTx = append(r.ofTx, sql)
	}
}

// failing is a query that brings the server's transaction into the state that an
// error in the request would leave it in.
func (r *requests) failing(req request) string {
	switch {
	case req.commits:
		return "rollback"
	case r.predicted == inTx:
		return "raise pgproxy" // a syntax error aborts the transaction
	default:
		return ""
	}
}

// appendQuery appends a simple query as a message.
func appendQuery(out []byte, sql string) []byte {
	out = append(out, 'Q')
	out = binary.BigEndian.AppendUint32(out, uint32(len(sql)+5)) //nolint:gosec // a short query
	return append(append(out, sql...), 0)
}
