package pgproxy

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"sync"
	"time"
)

const (
	// readSize is how much is read at once.
	readSize = 32 << 10
	// flushSize is how much gathers, at most, before it is relayed though more is
	// there to read.
	flushSize = 64 << 10
	// maxHeld is how much of a request or an answer is kept from its receiver until
	// it is whole.
	maxHeld = 1 << 20
	// maxStartup is the limit that PostgreSQL sets for startup packets.
	maxStartup = 10_000
)

// The codes in place of a protocol version in a startup packet.
const (
	cancelCode = 80877102
	sslCode    = 80877103
	gssCode    = 80877104
)

// A transaction's status in ReadyForQuery.
const (
	idle   = 'I'
	inTx   = 'T'
	failed = 'E'
)

// session is one client's connection and the server's that belongs to it. One
// goroutine relays requests and another one answers.
type session struct {
	proxy  *Proxy
	info   ConnInfo
	client *net.TCPConn

	done       chan struct{} // closed when nothing is relayed any more
	closeDone  sync.Once
	clientGone chan struct{} // closed when the client has closed its side
	toServer   gate
	toClient   gate

	sending sync.Mutex // keeps messages to the client whole

	mu      sync.Mutex
	server  net.Conn // nil until it is dialed
	key     []byte   // process id and secret key, as in a cancel request
	deaf    bool     // cancel requests are lost
	pending []request
	status  byte // of the transaction after the last answer
	// ignored counts the Syncs that the server has skipped or will skip, because it
	// does so while a client copies data to it.
	ignored int
}

// request is what was sent, or is being sent, to the server and ends with one
// ReadyForQuery.
type request struct {
	before, after moments
	// statements are those of the request, and those of the whole transaction if it
	// commits. Nil while no fault is in force.
	statements []string
	implicit   bool    // whether success means a commit though there is no COMMIT
	commits    bool    // whether it has a COMMIT
	extended   bool    // whether it ended with a Sync
	startup    bool    // whether it is the startup packet, whose answer asks for a password
	failWith   *Error  // what is answered in place of the server's answer
	strike     *strike // that the request has suffered already
}

func newSession(p *Proxy, client *net.TCPConn, number int) *session {
	return &session{
		proxy: p, client: client, info: ConnInfo{Number: number}, status: idle,
		done: make(chan struct{}), clientGone: make(chan struct{}),
	}
}

// run relays until both sides have ended.
func (s *session) run() {
	defer s.proxy.forget(s)
	defer s.abort()
	defer s.finishPending()
	r := bufio.NewReaderSize(s.client, readSize)
	startup := s.readStartup(r)
	if startup == nil {
		return
	}
	server := s.connect(startup)
	if server != nil {
		var answers sync.WaitGroup
		answers.Go(func() { s.relayAnswers(server) })
		s.relayRequests(r, server)
		defer answers.Wait()
	}
	// If the server or a fault has ended the session, the client may not know yet. A
	// close with unread data would reset the connection and take from the client what
	// it hasn't read of the last answer.
	_, _ = io.Copy(io.Discard, r)
	close(s.clientGone)
	if half, ok := server.(interface{ CloseWrite() error }); ok && !s.ended() {
		// The server executes what it has been sent, and then sees the end.
		_ = half.CloseWrite()
	}
}

// readStartup returns the startup packet, or nil if there is none to relay.
// Encryption is declined.
func (s *session) readStartup(r *bufio.Reader) []byte {
	for s.pass(&s.toServer, nil) {
		var size [4]byte
		if _, err := io.ReadFull(r, size[:]); err != nil {
			return nil
		}
		n := int(binary.BigEndian.Uint32(size[:]))
		if n < 8 || n > maxStartup {
			return nil
		}
		packet := append(make([]byte, 0, n), size[:]...)[:n]
		if _, err := io.ReadFull(r, packet[4:]); err != nil {
			return nil
		}
		switch binary.BigEndian.Uint32(packet[4:]) {
		case sslCode, gssCode:
			if _, err := s.client.Write([]byte{'N'}); err != nil {
				return nil
			}
		case cancelCode:
			if s.pass(&s.toServer, nil) {
				s.proxy.cancelRequest(packet)
			}
			return nil
		default:
			s.readParameters(packet[8:])
			return packet
		}
	}
	return nil
}

func (s *session) readParameters(packet []byte) {
	words := bytes.Split(packet, []byte{0})
	for pair := range slices.Chunk(words, 2) {
		if len(pair) < 2 {
			return
		}
		switch value := string(pair[1]); string(pair[0]) {
		case "application_name":
			s.info.ApplicationName = value
		case "database":
			s.info.Database = value
		case "user":
			s.info.User = value
		}
	}
}

// connect dials the server and sends the startup packet. It returns nil if a fault
// or a failure has ended the session.
func (s *session) connect(startup []byte) net.Conn {
	st := s.proxy.take(moments(0).with(Connect), s.info, nil)
	if st != nil && !s.suffer(st) {
		return nil
	}
	if !s.pass(&s.toServer, nil) {
		st.finish()
		return nil
	}
	server, err := s.proxy.dial()
	if err != nil {
		// The client's own connection has been accepted, so this is as close as the
		// proxy can come to a refusal.
		s.sever(true)
		st.finish()
		return nil
	}
	s.mu.Lock()
	s.server = server
	s.pending = append(s.pending, request{startup: true, strike: st})
	s.mu.Unlock()
	if s.ended() {
		_ = server.Close() // the end came before s.server was set
		return nil
	}
	_, _ = server.Write(startup) // a failure shows when the answer is read
	return server
}

// suffer does what a fault does before a request is sent, and reports whether the
// request is to be sent. AnswerError of severity ERROR isn't its business.
func (s *session) suffer(st *strike) bool {
	switch st.fault.Do {
	case CloseConn, ResetConn:
		s.sever(st.fault.Do == ResetConn)
	case AnswerError:
		s.fail(st.fault.Error)
	case HoldRequest:
		s.loseCancels()
		st.fire()
		return s.await(st, nil)
	case FreezeConn:
		s.loseCancels()
		st.freeze(s, &s.toServer, &s.toClient)
	case FreezeToClient:
		st.freeze(s, &s.toClient)
	case FreezeToServer:
		s.loseCancels()
		st.freeze(s, &s.toServer)
	case HoldAnswer:
		// The answer's relay holds it and says that the fault has struck.
		return true
	}
	st.fire()
	if s.ended() {
		st.finish()
		return false
	}
	return true
}

// await waits until the strike is released or its delay is over. It returns false
// if the session ends first, or gone is closed.
func (s *session) await(st *strike, gone <-chan struct{}) bool {
	var over <-chan time.Time
	if st.fault.Delay > 0 {
		timer := time.NewTimer(st.fault.Delay)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-st.release:
	case <-over:
	case <-gone:
		return false
	case <-s.done:
		st.finish()
		return false
	}
	return true
}

// pass waits for the session's gate and the proxy's to be open.
func (s *session) pass(g *gate, gone <-chan struct{}) bool {
	for {
		if !s.proxy.frozen.wait(s.done, gone) || !g.wait(s.done, gone) {
			return false
		}
		if !s.proxy.frozen.isShut() {
			return true
		}
	}
}

func (s *session) thaw() {
	s.toServer.open()
	s.toClient.open()
}

// loseCancels has cancel requests for the session lost from now on. One that the
// client sends while its request is held back may arrive here only after the
// release, and must not cancel the request then.
func (s *session) loseCancels() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deaf = true
}

// blocks reports whether the key is this session's, and cancel requests for it are
// lost.
func (s *session) blocks(key []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Equal(s.key, key) && (s.deaf || s.toServer.isShut())
}

// send writes to the client. A client that has gone gets nothing, which isn't an
// error here: the server's answers are read to their end all the same.
func (s *session) send(out []byte) {
	s.sending.Lock()
	defer s.sending.Unlock()
	_, _ = s.client.Write(out)
}

// fail tells the client of an error and ends the session.
func (s *session) fail(e Error) {
	s.send(e.appendTo(nil))
	s.sever(false)
}

// appendTo appends the error as a message.
func (e Error) appendTo(out []byte) []byte {
	start := len(out)
	out = append(out, 'E', 0, 0, 0, 0)
	for _, field := range []struct {
		kind byte
		text string
	}{{'S', e.Severity}, {'V', e.Severity}, {'C', e.Code}, {'M', e.Message}} {
		out = append(append(append(out, field.kind), field.text...), 0)
	}
	out = append(out, 0)
	binary.BigEndian.PutUint32(out[start+1:], uint32(len(out)-start-1)) //nolint:gosec // a short message
	return out
}

// sever ends the session with a FIN or a RST to the client. The client's side stays
// half open after a FIN, until the client closes it: data that comes later is
// discarded and not answered with a RST, so that a client always sees the same.
func (s *session) sever(withReset bool) {
	s.closeDone.Do(func() {
		close(s.done)
		if withReset {
			reset(s.client)
		} else {
			_ = s.client.CloseWrite()
		}
		s.closeServer()
	})
}

// abort ends the session and closes both sides.
func (s *session) abort() {
	s.closeDone.Do(func() { close(s.done) })
	_ = s.client.Close()
	s.closeServer()
}

func (s *session) closeServer() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server != nil {
		_ = s.server.Close()
	}
}

func (s *session) ended() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// finishPending says of all requests without an answer that they are over.
func (s *session) finishPending() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, req := range s.pending {
		req.strike.finish()
	}
	s.pending = nil
}
