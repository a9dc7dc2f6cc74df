package openapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// value is a part of the document: an object with ordered members, a list, or a scalar.
type value struct {
	members []member // of an object, not nil
	items   []*value // of a list, not nil
	scalar  any      // a string, an int64, a bool or nil
}

type member struct {
	name  string
	value *value
}

// pieces is the prefix of top-level members that other parts of the file refer to.
const pieces = "x-pieces"

// parse reads a document and replaces YAML aliases and merges with what they refer to.
func parse(data []byte) (*value, error) {
	var root yaml.Node
	if err := yaml.Unmarshal(data, &root); err != nil {
		return nil, err
	}
	if root.Kind != yaml.DocumentNode || len(root.Content) != 1 {
		return nil, errors.New("the file must hold exactly one document")
	}
	doc, err := fromNode(root.Content[0])
	if err != nil {
		return nil, err
	}
	doc.members = slices.DeleteFunc(doc.members, func(m member) bool { return m.name == pieces })
	return doc, nil
}

func fromNode(n *yaml.Node) (*value, error) {
	switch n.Kind {
	case yaml.AliasNode:
		return fromNode(n.Alias)
	case yaml.MappingNode:
		return fromMapping(n)
	case yaml.SequenceNode:
		v := &value{items: []*value{}}
		for _, c := range n.Content {
			item, err := fromNode(c)
			if err != nil {
				return nil, err
			}
			v.items = append(v.items, item)
		}
		return v, nil
	default:
		return fromScalar(n)
	}
}

// fromMapping reads an object. Merged members take the position of the merge, and the
// object's own members override them.
func fromMapping(n *yaml.Node) (*value, error) {
	own := map[string]bool{}
	for i := 0; i < len(n.Content); i += 2 {
		if k := n.Content[i]; k.Tag != "!!merge" {
			if own[k.Value] {
				return nil, fmt.Errorf("line %d: duplicate name %s", k.Line, k.Value)
			}
			own[k.Value] = true
		}
	}
	v := &value{members: []member{}}
	for i := 0; i < len(n.Content); i += 2 {
		key := n.Content[i]
		inner, err := fromNode(n.Content[i+1])
		if err != nil {
			return nil, err
		}
		if key.Tag != "!!merge" {
			v.members = append(v.members, member{key.Value, inner})
			continue
		}
		from := inner.items
		if from == nil {
			from = []*value{inner}
		}
		for _, f := range from {
			for _, m := range f.members {
				if !own[m.name] && v.get(m.name) == nil {
					v.members = append(v.members, m)
				}
			}
		}
	}
	return v, nil
}

func fromScalar(n *yaml.Node) (*value, error) {
	switch n.Tag {
	case "!!str":
		return &value{scalar: strings.TrimSuffix(n.Value, "\n")}, nil
	case "!!int":
		i, err := strconv.ParseInt(n.Value, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n.Line, err)
		}
		return &value{scalar: i}, nil
	case "!!bool":
		return &value{scalar: n.Value == "true"}, nil
	case "!!null":
		if n.Value == "" { // a comma in unquoted text begins a new name
			return nil, fmt.Errorf("line %d: a name has no value", n.Line)
		}
		return &value{}, nil
	default:
		return nil, fmt.Errorf("line %d: %q needs quotes, because YAML reads it as %s", n.Line, n.Value, n.Tag)
	}
}

// get returns a member, or nil if there is none. The value may be nil, so that calls can
// be chained.
func (v *value) get(names ...string) *value {
	for _, name := range names {
		if v == nil {
			return nil
		}
		i := slices.IndexFunc(v.members, func(m member) bool { return m.name == name })
		if i < 0 {
			return nil
		}
		v = v.members[i].value
	}
	return v
}

// text returns a member's text, which is empty if there is none.
func (v *value) text(names ...string) string {
	m := v.get(names...)
	if m == nil {
		return ""
	}
	switch s := m.scalar.(type) {
	case string:
		return s
	case int64:
		return strconv.FormatInt(s, 10)
	case bool:
		return strconv.FormatBool(s)
	default:
		return ""
	}
}

// texts returns the scalars of a list. A single scalar counts as a list of one.
func (v *value) texts(name string) []string {
	m := v.get(name)
	switch {
	case m == nil:
		return nil
	case m.items == nil:
		return []string{v.text(name)}
	}
	list := []string{}
	for _, item := range m.items {
		if item.scalar == nil {
			list = append(list, "null")
			continue
		}
		list = append(list, fmt.Sprint(item.scalar))
	}
	return list
}

// MarshalJSON implements json.Marshaler.
func (v *value) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	if err := v.write(&b); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func (v *value) write(b *bytes.Buffer) error {
	switch {
	case v.members != nil:
		b.WriteByte('{')
		for i, m := range v.members {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := writeScalar(b, m.name); err != nil {
				return err
			}
			b.WriteByte(':')
			if err := m.value.write(b); err != nil {
				return err
			}
		}
		b.WriteByte('}')
	case v.items != nil:
		b.WriteByte('[')
		for i, item := range v.items {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := item.write(b); err != nil {
				return err
			}
		}
		b.WriteByte(']')
	default:
		return writeScalar(b, v.scalar)
	}
	return nil
}

// writeScalar writes a scalar as JSON. It does not escape HTML, so that the & of an
// address stays readable.
func writeScalar(b *bytes.Buffer, scalar any) error {
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(scalar); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1) // the newline that Encode adds
	return nil
}
