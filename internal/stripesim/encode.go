package stripesim

import (
	"strconv"
	"unicode/utf8"
)

// renderer is an immutable snapshot that can be encoded as Stripe's JSON. A
// snapshot always renders to the same bytes, so answers and events are stored as
// snapshots and rendered when they are sent.
type renderer interface {
	appendJSON(b []byte, x *expander) []byte
}

// enc encodes one JSON object field by field. begin writes the first field, so that
// all others can start with a comma.
type enc struct {
	b []byte
	x *expander
}

func (w *enc) begin(key, val string) {
	w.b = append(w.b, `{"`...)
	w.b = append(w.b, key...)
	w.b = append(w.b, `":`...)
	w.b = appendString(w.b, val)
}

func (w *enc) end() { w.b = append(w.b, '}') }

func (w *enc) key(key string) {
	w.b = append(w.b, `,"`...)
	w.b = append(w.b, key...)
	w.b = append(w.b, `":`...)
}

func (w *enc) str(key, val string) {
	w.key(key)
	w.b = appendString(w.b, val)
}

// opt writes a string, or null if it is empty.
func (w *enc) opt(key, val string) {
	if val == "" {
		w.null(key)
		return
	}
	w.str(key, val)
}

func (w *enc) int(key string, val int64) {
	w.key(key)
	w.b = strconv.AppendInt(w.b, val, 10)
}

// optInt writes a number, or null if it is zero.
func (w *enc) optInt(key string, val int64) {
	if val == 0 {
		w.null(key)
		return
	}
	w.int(key, val)
}

func (w *enc) bool(key string, val bool) {
	w.key(key)
	w.b = strconv.AppendBool(w.b, val)
}

// raw writes a value that is already JSON.
func (w *enc) raw(key, json string) {
	w.key(key)
	w.b = append(w.b, json...)
}

// optRaw writes a value that is already JSON, or null if it is empty.
func (w *enc) optRaw(key string, json []byte) {
	if len(json) == 0 {
		w.null(key)
		return
	}
	w.key(key)
	w.b = append(w.b, json...)
}

func (w *enc) null(keys ...string) {
	for _, k := range keys {
		w.key(k)
		w.b = append(w.b, "null"...)
	}
}

func (w *enc) strs(key string, vals []string) {
	w.key(key)
	w.b = append(w.b, '[')
	for i, v := range vals {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.b = appendString(w.b, v)
	}
	w.b = append(w.b, ']')
}

// metadata writes the pairs as an object.
func (w *enc) metadata(m Metadata) {
	w.key("metadata")
	w.b = m.appendJSON(w.b)
}

// object writes a nested snapshot. Nothing in it is expanded.
func (w *enc) object(key string, r renderer) {
	w.key(key)
	w.b = r.appendJSON(w.b, w.x.flat())
}

// ref writes the id of another object. It writes the object itself if the request
// expands it, and null if the id is empty.
func (w *enc) ref(key, id string) {
	if id == "" {
		w.null(key)
		return
	}
	w.key(key)
	if sub, ok := w.x.wants(key); ok {
		if obj := w.x.find(id); obj != nil {
			w.b = obj.appendJSON(w.b, sub)
			return
		}
	}
	w.b = appendString(w.b, id)
}

const hexDigits = "0123456789abcdef"

// appendString writes s as a JSON string.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r != utf8.RuneError || size > 1 {
				i += size
				continue
			}
			b = append(append(b, s[start:i]...), `\ufffd`...)
			i++
			start = i
			continue
		}
		b = append(b, s[start:i]...)
		b = appendEscape(b, c)
		i++
		start = i
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}

func appendEscape(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\n':
		return append(b, `\n`...)
	case '\r':
		return append(b, `\r`...)
	case '\t':
		return append(b, `\t`...)
	}
	return append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}
