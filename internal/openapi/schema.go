package openapi

import (
	"bytes"
	"encoding/json"
	"html/template"
	"strings"
)

// schemaView shows a named schema: the fields of an object, its alternatives, or a value.
type schemaView struct {
	Name        string
	Description template.HTML
	Type        []typePart
	Facts       []string
	Fields      []field
	Forms       []schemaView
}

// field is a member of an object, a parameter or a header.
type field struct {
	Name        string
	In          string // of a parameter
	Type        []typePart
	Required    bool
	Description template.HTML
	Facts       []string // rules for its values
	Fields      []field  // of an object without a name
}

// typePart is a word of a type. The name of a schema links to it.
type typePart struct {
	Text   string
	Schema bool
}

// content describes a body.
type content struct {
	MediaType string
	Type      []typePart
	Fields    []field
	Forms     []schemaView
	Examples  []example
}

type example struct {
	Name string
	Text string
}

// content returns the only content type of a body, or nil if there is no body.
func (r reader) content(v *value) *content {
	kinds := v.get("content")
	if kinds == nil {
		return nil
	}
	m := kinds.members[0]
	view := r.schema("", m.value.get("schema"))
	c := &content{MediaType: m.name, Type: r.typeOf(m.value.get("schema")), Fields: view.Fields, Forms: view.Forms}
	if e := m.value.get("example"); e != nil {
		c.Examples = append(c.Examples, example{Text: indented(e)})
	}
	if list := m.value.get("examples"); list != nil {
		for _, e := range list.members {
			c.Examples = append(c.Examples, example{Name: e.name, Text: indented(e.value.get("value"))})
		}
	}
	return c
}

func indented(v *value) string {
	data, _ := v.MarshalJSON() // it has strings, whole numbers and booleans alone
	var b bytes.Buffer
	_ = json.Indent(&b, data, "", "  ") // it is JSON
	return b.String()
}

// schema shows a schema, with references resolved.
func (r reader) schema(name string, v *value) schemaView {
	description := v.text("description")
	v = r.resolve(v)
	if description == "" {
		description = v.text("description")
	}
	view := schemaView{Name: name, Description: prose(description), Type: r.typeOf(v), Facts: facts(v), Fields: r.fields(v)}
	if forms := v.get("oneOf"); forms != nil {
		for _, f := range forms.items {
			form := r.schema(r.resolve(f).text("title"), f)
			if form.Fields != nil {
				view.Forms = append(view.Forms, form)
			}
		}
	}
	return view
}

// fields returns the members of an object, including those of schemas that it extends.
func (r reader) fields(v *value) []field {
	var list []field
	if base := v.get("allOf"); base != nil {
		for _, b := range base.items {
			list = append(list, r.fields(r.resolve(b))...)
		}
	}
	required := v.texts("required")
	if all := v.get("allOf"); all != nil {
		for _, b := range all.items {
			required = append(required, b.texts("required")...)
		}
	}
	if properties := v.get("properties"); properties != nil {
		for _, m := range properties.members {
			if m.value.members == nil || known(list, m.name) {
				continue
			}
			list = append(list, r.field(m.name, m.value))
		}
	}
	for i := range list {
		for _, name := range required {
			list[i].Required = list[i].Required || list[i].Name == name
		}
	}
	return list
}

func known(list []field, name string) bool {
	for _, f := range list {
		if f.Name == name {
			return true
		}
	}
	return false
}

func (r reader) field(name string, v *value) field {
	f := field{Name: name, Type: r.typeOf(v), Description: prose(v.text("description")), Facts: facts(v)}
	if v.get("$ref") == nil {
		f.Fields = r.fields(v)
		if items := v.get("items"); items != nil && items.get("$ref") == nil {
			f.Fields = append(f.Fields, r.fields(items)...)
		}
	}
	return f
}

// typeOf returns the name of a type, such as "array of Payment" or "Time or null".
func (r reader) typeOf(v *value) []typePart {
	if ref := v.text("$ref"); ref != "" {
		return []typePart{{Text: ref[strings.LastIndexByte(ref, '/')+1:], Schema: true}}
	}
	if forms := v.get("oneOf"); forms != nil {
		var parts []typePart
		for i, f := range forms.items {
			if i > 0 {
				parts = append(parts, typePart{Text: " or "})
			}
			parts = append(parts, r.typeOf(f)...)
		}
		return parts
	}
	if items := v.get("items"); items != nil {
		parts := append([]typePart{{Text: "array of "}}, r.typeOf(items)...)
		if len(v.texts("type")) > 1 {
			parts = append(parts, typePart{Text: " or null"})
		}
		return parts
	}
	if fixed := v.get("const"); fixed != nil {
		return []typePart{{Text: indented(fixed)}}
	}
	if base := v.get("allOf"); base != nil && v.get("type") == nil {
		return r.typeOf(base.items[0])
	}
	return []typePart{{Text: strings.Join(v.texts("type"), " or ")}}
}

// facts returns the rules for a value in words.
func facts(v *value) []string {
	var list []string
	if values := v.texts("enum"); values != nil {
		list = append(list, "one of "+strings.Join(values, ", "))
	}
	for _, rule := range []struct{ name, words string }{
		{"format", "format "},
		{"pattern", "matches "},
		{"minimum", "at least "},
		{"maximum", "at most "},
		{"minLength", "length at least "},
		{"maxLength", "length at most "},
		{"minItems", "items at least "},
		{"maxItems", "items at most "},
		{"maxProperties", "members at most "},
		{"default", "default "},
	} {
		if s := v.text(rule.name); s != "" {
			list = append(list, rule.words+s)
		}
	}
	if examples := v.texts("examples"); len(examples) > 0 {
		list = append(list, "such as "+strings.Join(examples, ", "))
	}
	return list
}
