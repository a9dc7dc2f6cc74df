package stripesim

import (
	"crypto/sha256"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	maxFormDepth = 8
	maxFormPairs = 2000
)

// form is a parsed form body or query: a tree whose leaves are strings. "a[b][c]=1"
// is the leaf c under b under a. "a[0]=1" and "a[]=1" are the leaf 0 under a.
type form struct {
	kids []form
	leaf bool
	name string
	val  string
}

// formError means that a body cannot be parsed as a form.
type formError string

func (e formError) Error() string { return string(e) }

// parse adds the pairs of a URL-encoded string to the tree.
func (f *form) parse(encoded string) error {
	pairs := 0
	for encoded != "" {
		var pair string
		pair, encoded, _ = strings.Cut(encoded, "&")
		if pair == "" {
			continue
		}
		if pairs++; pairs > maxFormPairs {
			return formError("Too many parameters.")
		}
		rawKey, rawVal, _ := strings.Cut(pair, "=")
		key, err := unescape(rawKey)
		if err != nil {
			return err
		}
		val, err := unescape(rawVal)
		if err != nil {
			return err
		}
		if err := f.add(key, val); err != nil {
			return err
		}
	}
	return nil
}

func unescape(s string) (string, error) {
	out := s
	if strings.ContainsAny(s, "%+") {
		var err error
		if out, err = url.QueryUnescape(s); err != nil {
			return "", formError("Invalid URL encoding in a parameter.")
		}
	}
	if !utf8.ValidString(out) {
		return "", formError("Invalid UTF-8 in a parameter.")
	}
	return out, nil
}

// add stores a value under its bracketed key. The last value of a repeated key
// wins.
func (f *form) add(key, val string) error {
	name, rest := key, ""
	if i := strings.IndexByte(key, '['); i > 0 {
		name, rest = key[:i], key[i:]
	}
	node := f.child(name)
	for depth := 1; rest != ""; depth++ {
		end := strings.IndexByte(rest, ']')
		if rest[0] != '[' || end < 0 || depth > maxFormDepth {
			return formError("Invalid parameter name: " + key)
		}
		part := rest[1:end]
		rest = rest[end+1:]
		if node.leaf {
			return formError("Invalid parameter: " + name + " is both a value and a hash.")
		}
		if part == "" {
			part = strconv.Itoa(len(node.kids))
		}
		node = node.child(part)
	}
	if len(node.kids) > 0 {
		return formError("Invalid parameter: " + name + " is both a value and a hash.")
	}
	node.leaf, node.val = true, val
	return nil
}

func (f *form) child(name string) *form {
	for i := range f.kids {
		if f.kids[i].name == name {
			return &f.kids[i]
		}
	}
	f.kids = append(f.kids, form{name: name})
	return &f.kids[len(f.kids)-1]
}

// at returns the node at path, or nil.
func (f *form) at(path ...string) *form {
	for _, name := range path {
		i := slices.IndexFunc(f.kids, func(k form) bool { return k.name == name })
		if i < 0 {
			return nil
		}
		f = &f.kids[i]
	}
	return f
}

// has reports whether the form has a value at path, which may be empty.
func (f *form) has(path ...string) bool { return f.at(path...) != nil }

// str returns the value at path, or "".
func (f *form) str(path ...string) string {
	if n := f.at(path...); n != nil {
		return n.val
	}
	return ""
}

// int returns the value at path, or 0. The parameter table has already checked that
// it is a number.
func (f *form) int(path ...string) int64 {
	n, _ := strconv.ParseInt(f.str(path...), 10, 64)
	return n
}

// bool returns the value at path, or false.
func (f *form) bool(path ...string) bool { return f.str(path...) == "true" }

// list returns the values of an array. A single value counts as an array of one.
func (f *form) list(path ...string) []string {
	n := f.at(path...)
	if n == nil {
		return nil
	}
	if n.leaf {
		if n.val == "" {
			return nil
		}
		return []string{n.val}
	}
	out := make([]string, len(n.kids))
	for i := range n.kids {
		out[i] = n.kids[i].val
	}
	return out
}

// digest returns a hash of the parameters that does not depend on their order.
func (f *form) digest() [32]byte {
	pairs := f.flatten(nil, "")
	slices.Sort(pairs)
	h := sha256.New()
	for _, p := range pairs {
		_, _ = h.Write([]byte(p)) // a hash's Write never fails
		_, _ = h.Write([]byte{0})
	}
	return [32]byte(h.Sum(nil))
}

func (f *form) flatten(pairs []string, prefix string) []string {
	for i := range f.kids {
		k := &f.kids[i]
		name := prefix + k.name
		if k.leaf {
			pairs = append(pairs, name+"="+k.val)
			continue
		}
		pairs = k.flatten(pairs, name+"\x01")
	}
	return pairs
}

// bracketed returns a dotted path in Stripe's notation: a.b.c becomes a[b][c].
func bracketed(path string) string {
	head, rest, nested := strings.Cut(path, ".")
	if !nested {
		return head
	}
	return head + "[" + strings.ReplaceAll(rest, ".", "][") + "]"
}
