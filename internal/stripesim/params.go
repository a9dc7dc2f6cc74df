package stripesim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// paramTable holds the parameters of an endpoint. It is written as text, one
// parameter per line: a dotted name, "!" if it is required, and a kind.
//
//	amount! int
//	automatic_payment_methods.enabled! bool
//	capture_method enum:automatic|manual
//	metadata hash
//
// Kinds are bool, enum, hash (with any content), int, list (of strings) and str. A
// name with children is a hash. Its required children are required only if the hash
// is given.
type paramTable struct {
	kids     map[string]*paramTable
	kind     string
	enum     []string
	required []string
}

const commonParams = "expand list\n"

// listParams are the parameters of every list.
const listParams = commonParams + `
created.gt int
created.gte int
created.lt int
created.lte int
ending_before str
limit int
starting_after str
`

func newParamTable(spec string) *paramTable {
	root := &paramTable{kind: "hash"}
	for line := range strings.Lines(spec) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if len(fields) != 2 {
			panic("stripesim: bad parameter line: " + line)
		}
		root.declare(fields[0], fields[1])
	}
	return root
}

func (t *paramTable) declare(path, kind string) {
	name, rest, nested := strings.Cut(path, ".")
	bare := strings.TrimSuffix(name, "!")
	if bare != name {
		t.required = append(t.required, bare)
	}
	if t.kids == nil {
		t.kids = map[string]*paramTable{}
	}
	kid := t.kids[bare]
	if kid == nil {
		kid = &paramTable{kind: "hash"}
		t.kids[bare] = kid
	}
	if nested {
		kid.declare(rest, kind)
		return
	}
	kid.kind, _, _ = strings.Cut(kind, ":")
	if kid.kind == "enum" {
		kid.enum = strings.Split(kind[len("enum:"):], "|")
	}
}

// check validates the parameters of a request. Like Stripe, it reports unknown
// names first.
func (t *paramTable) check(f *form) *apiError { return t.checkHash(f, "") }

func (t *paramTable) checkHash(f *form, prefix string) *apiError {
	for i := range f.kids {
		k := &f.kids[i]
		kid, known := t.kids[k.name]
		if !known {
			return unknownParameter(prefix + k.name)
		}
		if err := kid.checkValue(k, prefix+k.name); err != nil {
			return err
		}
	}
	for _, name := range t.required {
		if f.str(name) == "" && (f.at(name) == nil || f.at(name).leaf) {
			return missingParameter(prefix + name)
		}
	}
	return nil
}

func (t *paramTable) checkValue(n *form, path string) *apiError {
	name := bracketed(path)
	switch {
	case t.kind == "list":
		return nil
	case t.kind == "hash" && n.leaf:
		if n.val == "" { // an empty value removes the hash
			return nil
		}
		if t.kids["gte"] != nil { // created=123 is allowed as well as created[gte]
			return checkInt(n.val, name)
		}
		return refused("", name, "Invalid object")
	case t.kind == "hash":
		if t.kids == nil {
			return nil
		}
		return t.checkHash(n, path+".")
	case !n.leaf:
		return refused("", name, "Invalid string: {...}")
	}
	return t.checkScalar(n.val, name)
}

func (t *paramTable) checkScalar(val, name string) *apiError {
	switch t.kind {
	case "bool":
		if val != "true" && val != "false" {
			return refused("", name, "Invalid boolean: "+val)
		}
	case "enum":
		if val == "" {
			return nil
		}
		if slices.Contains(t.enum, val) {
			return nil
		}
		return refused("", name, fmt.Sprintf("Invalid %s: must be one of %s", name, strings.Join(t.enum, ", ")))
	case "int":
		return checkInt(val, name)
	}
	return nil
}

func checkInt(val, name string) *apiError {
	if val == "" {
		return refused("parameter_invalid_empty", name, "You passed an empty string for '"+name+
			"'. We assume empty values are an attempt to unset a parameter; however '"+name+
			"' cannot be unset. You should remove '"+name+"' from your request or supply a non-empty value.")
	}
	if _, err := strconv.ParseInt(val, 10, 64); err != nil {
		return refused("parameter_invalid_integer", name, "Invalid integer: "+val)
	}
	return nil
}
