package lago

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/shopspring/decimal"

	"github.com/fundrail/fundrail/internal/api"
	"github.com/fundrail/fundrail/internal/nullable"
	"github.com/fundrail/fundrail/internal/wallet"
)

// object is an api.Object whose values are read as leniently as Lago reads them: what
// is absent, null or of a kind that a field cannot have counts as not given, unless
// a method says otherwise.
type object map[string]json.RawMessage

// readRoot reads the object that a request of this dialect has under a name, such as
// {"wallet": {…}}. A missing name, another kind of value or an empty object is a 400.
func readRoot(c echo.Context, name string) (object, error) {
	body, err := readMembers(c, name)
	if err != nil {
		return nil, err
	}
	root := body.object(name)
	if len(root) == 0 {
		return nil, errRootMissing(name)
	}
	return root, nil
}

// readMembers reads a request whose body has a value under a name. It refuses a
// value that the database cannot store.
func readMembers(c echo.Context, name string) (object, error) {
	body, err := api.ReadObject(c)
	if e, ok := errors.AsType[*api.Error](err); ok && e.Code == api.CodeBodySchemaInvalid {
		return nil, errRootMissing(name) // JSON, but not an object
	}
	if holdsNUL(body[name]) {
		return nil, api.InvalidJSON(errors.New("holds the character NUL"))
	}
	return object(body), err
}

// holdsNUL reports whether a string in valid JSON has the character NUL, which the
// database cannot store.
func holdsNUL(data []byte) bool {
	for i := bytes.IndexByte(data, '\\'); i >= 0 && i+1 < len(data); {
		if bytes.HasPrefix(data[i:], []byte(`\u0000`)) {
			return true
		}
		next := bytes.IndexByte(data[i+2:], '\\') // what follows the backslash is escaped
		if next < 0 {
			return false
		}
		i += 2 + next
	}
	return false
}

func (o object) given(name string) bool {
	raw, ok := o[name]
	return ok && api.KindOf(raw) != "null"
}

// object returns the object under a name, or nil.
func (o object) object(name string) object {
	raw, ok := o[name]
	if !ok || api.KindOf(raw) != "object" {
		return nil
	}
	var inner object
	_ = json.Unmarshal(raw, &inner) // it is an object
	return inner
}

// only returns an object with these members alone.
func (o object) only(names ...string) object {
	kept := object{}
	for _, name := range names {
		if raw, ok := o[name]; ok {
			kept[name] = raw
		}
	}
	return kept
}

// list returns the array under a name, or nil.
func (o object) list(name string) []json.RawMessage {
	raw, ok := o[name]
	if !ok || api.KindOf(raw) != "array" {
		return nil
	}
	list := []json.RawMessage{}
	_ = json.Unmarshal(raw, &list) // it is an array
	return list
}

// texts returns the strings of the array under a name, without its other values.
func (o object) texts(name string) []string {
	texts := []string{}
	for _, raw := range o.list(name) {
		if s, ok := scalar(raw); ok && api.KindOf(raw) == "string" {
			texts = append(texts, s)
		}
	}
	return texts
}

// str returns a string, number or boolean as text. The second result is false when
// there is none.
func (o object) str(name string) (string, bool) {
	raw, ok := o[name]
	if !ok {
		return "", false
	}
	return scalar(raw)
}

// trimmed returns str without white space around it.
func (o object) trimmed(name string) string {
	s, _ := o.str(name)
	return strings.TrimSpace(s)
}

func scalar(raw json.RawMessage) (string, bool) {
	switch api.KindOf(raw) {
	case "string":
		var s string
		_ = json.Unmarshal(raw, &s) // it is a string
		return s, true
	case "number", "boolean":
		return string(bytes.TrimSpace(raw)), true
	default:
		return "", false
	}
}

// boolean converts a value: a few words are false, an empty string counts as not
// given, and every other text is true.
func (o object) boolean(name string) *bool {
	s, ok := o.str(name)
	if !ok || (s == "" && api.KindOf(o[name]) == "string") {
		return nil
	}
	switch strings.ToLower(s) {
	case "false", "0", "f", "off":
		return new(false)
	default:
		return new(true)
	}
}

// integer reads a whole number without its decimals. A text that does not begin with
// a number is 0. The second result is false when no value is given.
func (o object) integer(name string) (int64, bool) {
	s, ok := o.str(name)
	if !ok {
		return 0, false
	}
	if s == "true" {
		return 1, true
	}
	s = strings.TrimSpace(s)
	end := 0
	for end < len(s) && ('0' <= s[end] && s[end] <= '9' || end == 0 && (s[end] == '-' || s[end] == '+')) {
		end++
	}
	n, ok := new(big.Int).SetString(strings.TrimPrefix(s[:end], "+"), 10)
	if !ok || !n.IsInt64() {
		return 0, true
	}
	return n.Int64(), true
}

// amount reads credits, which must be a string. Null and false are zero credits. The
// second result is false for any other value.
func (o object) amount(name string) (decimal.Decimal, bool) {
	raw, ok := o[name]
	if !ok {
		return decimal.Zero, true
	}
	s, _ := scalar(raw)
	switch kind := api.KindOf(raw); {
	case kind == "string":
		d, err := wallet.ParseCredits(s)
		return d, err == nil
	case kind == "number", s == "true":
		return decimal.Zero, false
	default:
		return decimal.Zero, true
	}
}

func setText(to *string, f object, name string) {
	if s, ok := f.str(name); ok {
		*to = s
	}
}

func setOptional(to **string, f object, name string) {
	if _, ok := f[name]; ok {
		s, _ := f.str(name)
		*to = nullable.From(s)
	}
}

func setBool(to *bool, f object, name string) {
	if b := f.boolean(name); b != nil {
		*to = *b
	}
}

// parseTime reads a time as ISO 8601 writes it; without a zone it is UTC.
func parseTime(s string) (time.Time, bool) {
	for _, layout := range []string{
		time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04:05 MST", "2006-01-02T15:04Z07:00", time.DateOnly,
	} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}
