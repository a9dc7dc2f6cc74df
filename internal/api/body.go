package api

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"
)

const (
	// maxBody is how large a merchant's request may be.
	maxBody = 64 << 10
	// maxDepth is how many arrays and objects may stand inside each other.
	maxDepth = 32
)

// BodyLimit refuses requests whose body is larger than n bytes: at once if
// Content-Length says so, else when more is read.
func BodyLimit(n int64) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if err := limitBody(c, n); err != nil {
				return err
			}
			return next(c)
		}
	}
}

func limitBody(c echo.Context, n int64) error {
	r := c.Request()
	if r.ContentLength > n {
		return errBodyTooLarge()
	}
	r.Body = http.MaxBytesReader(c.Response(), r.Body, n)
	return nil
}

// ReadObject reads a request's body, which has to be a JSON object. It refuses, in
// this order, a body that is too large, one with another media type than JSON, one
// that is not JSON, and one that is not an object.
func ReadObject(c echo.Context) (Object, error) {
	body, err := readBody(c)
	if err != nil {
		return nil, err
	}
	if err := checkMediaType(c.Request().Header); err != nil {
		return nil, err
	}
	return ParseObject(body)
}

// ReadOptionalObject is ReadObject for a body that may be missing.
func ReadOptionalObject(c echo.Context) (Object, error) {
	if c.Request().ContentLength == 0 {
		return Object{}, nil
	}
	return ReadObject(c)
}

func readBody(c echo.Context) ([]byte, error) {
	if err := limitBody(c, maxBody); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(c.Request().Body)
	if err != nil {
		return nil, readError(err)
	}
	return body, nil
}

// readError returns the answer to a request whose body could not be read. A network
// error here is the client's; AsError would take it for one of the database.
func readError(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return errBodyTooLarge()
	}
	if netErr, ok := errors.AsType[net.Error](err); ok && netErr.Timeout() {
		return errRequestTimeout(err)
	}
	return InvalidJSON(err)
}

// checkMediaType accepts uncompressed JSON in UTF-8, and a request without a
// Content-Type.
func checkMediaType(h http.Header) error {
	if coding := h.Get(echo.HeaderContentEncoding); coding != "" && !strings.EqualFold(coding, "identity") {
		return errMediaTypeUnsupported()
	}
	contentType := h.Get(echo.HeaderContentType)
	if contentType == "" {
		return nil
	}
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil || (kind != echo.MIMEApplicationJSON && !strings.HasSuffix(kind, "+json")) {
		return errMediaTypeUnsupported()
	}
	if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		return errMediaTypeUnsupported()
	}
	return nil
}

// Object is a JSON object whose values are not decoded yet. Its names are
// case-sensitive, which a struct's are not to encoding/json. Of a name that is
// there twice it has the last value.
type Object map[string]json.RawMessage

// ParseObject reads a JSON object and nothing after it.
func ParseObject(data []byte) (Object, error) {
	switch {
	case !utf8.Valid(data):
		return nil, InvalidJSON(errors.New("not UTF-8"))
	case !json.Valid(data):
		return nil, InvalidJSON(errors.New("not JSON"))
	case deeperThan(data, maxDepth):
		return nil, InvalidJSON(errors.New("nested too deeply"))
	}
	if kind := KindOf(data); kind != "object" {
		return nil, InvalidBody(Issue{Path: []string{}, Message: "Expected object, received " + kind})
	}
	var o Object
	if err := json.Unmarshal(data, &o); err != nil {
		return nil, InvalidJSON(err)
	}
	return o, nil
}

// deeperThan reports whether arrays and objects are nested more than limit levels
// deep in valid JSON.
func deeperThan(data []byte, limit int) bool {
	depth, inString := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case c == '"':
			inString = !inString
		case inString:
			if c == '\\' {
				i++ // the next character is part of the escape, even if it is a quote
			}
		case c == '[' || c == '{':
			if depth++; depth > limit {
				return true
			}
		case c == ']' || c == '}':
			depth--
		}
	}
	return false
}

// KindOf names the kind of a valid JSON value.
func KindOf(value []byte) string {
	i := slices.IndexFunc(value, func(c byte) bool { return !strings.ContainsRune(" \t\r\n", rune(c)) })
	switch value[i] {
	case '"':
		return "string"
	case '{':
		return "object"
	case '[':
		return "array"
	case 't', 'f':
		return "boolean"
	case 'n':
		return "null"
	default:
		return "number"
	}
}
