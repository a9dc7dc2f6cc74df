package pgproxy

import (
	"bufio"
	"bytes"
	"io"
	"net"
)

// answers is the server's side of a session: the answer that is being relayed.
type answers struct {
	*session
	out []byte // messages that have not been relayed yet

	begun     bool // the first message of the answer has come
	withheld  bool // out is kept until the answer is whole
	replaced  bool // the answer is to be dropped but for its end
	copiesOn  bool // the client is to learn at once that the server awaits its data
	committed bool // the answer says COMMIT
	refused   bool // the answer has an error
}

// relayAnswers relays what the server sends until the server ends.
func (s *session) relayAnswers(server net.Conn) {
	a := answers{session: s}
	in := bufio.NewReaderSize(server, readSize)
	for a.relayOne(in) {
	}
	a.withheld = false
	if a.replaced {
		a.out = a.out[:0]
	}
	a.flush()
	s.sever(false)
}

// relayOne relays one message and reports whether there may be more.
func (a *answers) relayOne(in *bufio.Reader) bool {
	kind, size, err := header(in)
	if err != nil {
		return false
	}
	if !a.begun {
		a.beginAnswer()
	}
	if a.withheld && len(a.out)+size > maxHeld && !a.replaced {
		a.withheld = false
	}
	if size > maxHeld {
		return a.relayLarge(in, size)
	}
	start := len(a.out)
	if a.out, err = appendMessage(a.out, in, size); err != nil {
		return false
	}
	message := a.out[start:]
	a.note(kind, message[headerSize:])
	switch {
	case kind == 'Z':
		if !a.endAnswer(message) {
			return false
		}
	case a.replaced:
		a.out = a.out[:start]
	case kind == 'G' && a.copiesOn:
		a.flush()
	}
	if !a.withheld && (len(a.out) >= flushSize || !hasMessage(in)) {
		a.flush()
	}
	return !a.ended()
}

// relayLarge relays a message that is too large to be held.
func (a *answers) relayLarge(in *bufio.Reader, size int) bool {
	if a.replaced {
		_, err := io.CopyN(io.Discard, in, int64(size))
		return err == nil
	}
	a.flush()
	if !a.pass(&a.toClient, a.clientGone) {
		_, err := io.CopyN(io.Discard, in, int64(size))
		return err == nil
	}
	a.sending.Lock()
	defer a.sending.Unlock()
	body := io.LimitReader(in, int64(size))
	if _, err := io.Copy(a.client, body); err != nil {
		_, err = io.Copy(io.Discard, body)
		return err == nil
	}
	return true
}

// flush relays what has gathered.
func (a *answers) flush() {
	if len(a.out) > 0 && a.pass(&a.toClient, a.clientGone) {
		a.send(a.out)
	}
	if cap(a.out) > flushSize {
		a.out = nil
	}
	a.out = a.out[:0]
}

// beginAnswer decides whether the answer that begins is to be kept until it is
// whole. What the server says unasked while there is no request isn't an answer.
func (a *answers) beginAnswer() {
	a.mu.Lock()
	var head request
	if a.begun = len(a.pending) > 0; a.begun {
		head = a.pending[0]
	}
	a.mu.Unlock()
	a.replaced = head.failWith != nil
	// The server's answer to a request that was struck is read to its end even if the
	// client gets nothing of it, so that Injection.Done is closed.
	a.withheld = head.strike != nil && !head.startup || a.proxy.expects(head.after, a.info, head.statements)
	a.copiesOn = head.strike == nil || head.strike.fault.Do == HoldRequest
	if a.withheld && len(a.out) > 0 {
		a.flush()
	}
}

// holdsAnswer reports whether a fault that struck before the request was sent has
// its effect on the answer.
func (q *request) holdsAnswer() bool {
	return q.strike != nil && q.strike.fault.Do == HoldAnswer
}

// note takes from a message's body how the request fares.
func (a *answers) note(kind byte, body []byte) {
	switch kind {
	case 'C':
		a.committed = a.committed || bytes.Equal(body, []byte("COMMIT\x00"))
	case 'E':
		a.refused = true
	case 'G':
		a.mu.Lock()
		defer a.mu.Unlock()
		if len(a.pending) > 0 && a.pending[0].extended {
			// The client has sent a Sync with its request, as libpq does. The server
			// skips it, and the client will send another one after the data.
			a.ignored++
		}
	case 'K':
		a.mu.Lock()
		defer a.mu.Unlock()
		a.key = bytes.Clone(body)
	}
}

// endAnswer lets faults strike the answer that is whole with the message, which is
// a ReadyForQuery. It returns false if the session is over.
func (a *answers) endAnswer(ready []byte) bool {
	a.mu.Lock()
	a.status = ready[headerSize]
	if len(a.pending) == 0 {
		a.mu.Unlock()
		return true
	}
	head := a.pending[0]
	// The next request may be read and classified as soon as this one is off.
	a.pending = a.pending[:copy(a.pending, a.pending[1:])]
	a.mu.Unlock()

	st := head.strike
	committed := head.commits && a.committed || head.implicit && !a.refused
	a.begun, a.withheld, a.replaced, a.committed, a.refused = false, false, false, false, false
	switch {
	case head.failWith != nil:
		a.out = append(head.failWith.appendTo(nil), ready...)
		a.flush()
		st.fire()
		st.finish()
		return true
	case head.holdsAnswer():
		st.finish()
		return a.strike(st, ready)
	}
	st.finish()
	at := head.after
	if !committed {
		at &^= moments(0).with(AfterCommit)
	}
	if st = a.proxy.take(at, a.info, head.statements); st == nil {
		return true
	}
	st.finish()
	return a.strike(st, ready)
}

// strike does what a fault does when an answer is whole, and reports whether the
// session goes on.
func (a *answers) strike(st *strike, ready []byte) bool {
	switch st.fault.Do {
	case CloseConn, ResetConn:
		a.out = a.out[:0]
		a.sever(st.fault.Do == ResetConn)
	case AnswerError:
		if st.fault.Error.fatal() {
			a.out = a.out[:0]
			a.fail(st.fault.Error)
			break
		}
		a.out = append(st.fault.Error.appendTo(nil), ready...)
		a.flush()
	case HoldAnswer:
		st.fire()
		a.await(st, a.clientGone)
		return !a.ended()
	case HoldRequest:
		// Fault.check refuses it after an answer.
	case FreezeConn:
		st.freeze(a.session, &a.toServer, &a.toClient)
	case FreezeToClient:
		st.freeze(a.session, &a.toClient)
	case FreezeToServer:
		st.freeze(a.session, &a.toServer)
	}
	st.fire()
	return !a.ended()
}
