package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
)

// maxAnswer limits an answer's body. All expected answers are much smaller.
const maxAnswer = 1 << 20

var (
	errAnswerForm = errors.New("the answer has a form that this client does not read")
	contentLength = []byte("Content-Length:")
)

// conn is one kept-alive HTTP/1.1 connection. It sends encoded requests and reads
// answers that have a Content-Length. It needs a fifth of the processor time of
// net/http's client, which matters because the driver shares the processors with
// what it measures.
type conn struct {
	body   []byte
	c      net.Conn
	r      *bufio.Reader
	unbind func() bool
}

func dial(ctx context.Context, addr string) (*conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	// Closing the connection ends a blocked read when ctx ends.
	unbind := context.AfterFunc(ctx, func() { _ = c.Close() })
	return &conn{c: c, r: bufio.NewReaderSize(c, 4<<10), unbind: unbind}, nil
}

func (c *conn) close() {
	c.unbind()
	_ = c.c.Close()
}

// do sends a request and returns the answer's status and body. The body is valid
// until the next call. After an error the connection must not be used again.
func (c *conn) do(request []byte) (int, []byte, error) {
	if _, err := c.c.Write(request); err != nil {
		return 0, nil, err
	}
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return 0, nil, err
	}
	const code = len("HTTP/1.1 ")
	if len(line) < code+3 {
		return 0, nil, errAnswerForm
	}
	status, err := strconv.Atoi(string(line[code : code+3]))
	if err != nil {
		return 0, nil, errAnswerForm
	}
	length, err := c.readHeader()
	if err != nil {
		return 0, nil, err
	}
	if cap(c.body) < length {
		c.body = make([]byte, length)
	}
	c.body = c.body[:length]
	_, err = io.ReadFull(c.r, c.body)
	return status, c.body, err
}

// readHeader skips the header and returns the length of the body.
func (c *conn) readHeader() (int, error) {
	length := -1
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		if len(line) > len(contentLength) && bytes.EqualFold(line[:len(contentLength)], contentLength) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(line[len(contentLength):]))); err != nil {
				return 0, errAnswerForm
			}
		}
	}
	if length < 0 || length > maxAnswer {
		return 0, fmt.Errorf("%w: a body of unknown or excessive length", errAnswerForm)
	}
	return length, nil
}
