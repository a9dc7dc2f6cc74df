package openapi

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"sync"
)

var (
	//go:embed docs.css
	pageStyle string
	//go:embed docs.html
	pageHTML string
)

// policy allows the page its own style and nothing else: no script, and no address to load
// from or send to.
var policy = sync.OnceValue(func() string {
	sum := sha256.Sum256([]byte(pageStyle))
	return fmt.Sprintf("default-src 'none'; style-src 'sha256-%s'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		base64.StdEncoding.EncodeToString(sum[:]))
})

// page is the data of the page for people.
type page struct {
	Title       string
	Summary     string
	Version     string // of OpenAPI
	Description template.HTML
	Security    template.HTML
	Groups      []group
	Schemas     []schemaView
	Style       template.CSS
}

// group holds the operations of a tag.
type group struct {
	ID          string
	Name        string
	Description template.HTML
	Operations  []operation
}

type operation struct {
	ID          string
	Method      string
	Path        []segment
	Incoming    bool // a webhook, which the reader receives
	Summary     string
	Description template.HTML
	Scope       string
	Parameters  []field
	Request     *content
	Required    bool // the request's body
	Answers     []response
	Refusals    []response
	Call        string // a shell command
}

// segment is a part of a path, which may be a parameter.
type segment struct {
	Text string
	Open bool
}

type response struct {
	Status      string
	Description template.HTML
	Headers     []field
	Content     *content
	Codes       []string
}

// renderPage renders the page. It fails only if the embedded files are broken, which tests
// would show.
func renderPage() []byte {
	t := template.Must(template.New("docs").Funcs(template.FuncMap{"join": strings.Join, "lower": strings.ToLower}).Parse(pageHTML))
	var b bytes.Buffer
	if err := t.Execute(&b, newPage(document())); err != nil {
		panic("docs.html: " + err.Error())
	}
	return b.Bytes()
}

func newPage(doc *value) page {
	r := reader{doc}
	p := page{
		Title:       doc.text("info", "title"),
		Summary:     doc.text("info", "summary"),
		Version:     doc.text("openapi"),
		Description: prose(doc.text("info", "description")),
		Security:    prose(doc.text("components", "securitySchemes", "secretKey", "description")),
		Style:       template.CSS(pageStyle), //nolint:gosec // our own file
	}
	for _, tag := range doc.get("tags").items {
		name := tag.text("name")
		g := group{ID: anchor(name), Name: name, Description: prose(tag.text("description"))}
		for _, item := range doc.get("paths").members {
			g.Operations = append(g.Operations, r.operations(item, name)...)
		}
		for _, item := range doc.get("webhooks").members {
			for _, o := range r.operations(item, name) {
				o.Incoming, o.Path, o.Call = true, []segment{{Text: "your endpoint"}}, ""
				g.Operations = append(g.Operations, o)
			}
		}
		p.Groups = append(p.Groups, g)
	}
	for _, m := range doc.get("components", "schemas").members {
		p.Schemas = append(p.Schemas, r.schema(m.name, m.value))
	}
	return p
}

// reader turns the document into the data of the page.
type reader struct{ doc *value }

// resolve follows a reference.
func (r reader) resolve(v *value) *value {
	for {
		ref := v.text("$ref")
		if ref == "" {
			return v
		}
		v = r.doc.get(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
	}
}

// operations returns the operations of a path that have a tag.
func (r reader) operations(item member, tag string) []operation {
	var list []operation
	for _, m := range item.value.members {
		if m.name == "parameters" || !slices.Contains(m.value.texts("tags"), tag) {
			continue
		}
		o := operation{
			ID:          m.value.text("operationId"),
			Method:      strings.ToUpper(m.name),
			Path:        segments(item.name),
			Summary:     m.value.text("summary"),
			Description: prose(m.value.text("description")),
		}
		if wanted := m.value.get("security"); wanted != nil && len(wanted.items) > 0 {
			o.Scope = strings.Join(wanted.items[0].texts("secretKey"), ", ")
		}
		var parameters []*value
		for _, at := range []*value{item.value.get("parameters"), m.value.get("parameters")} {
			if at != nil {
				parameters = append(parameters, at.items...)
			}
		}
		for _, p := range parameters {
			o.Parameters = append(o.Parameters, r.parameter(r.resolve(p)))
		}
		if body := m.value.get("requestBody"); body != nil {
			o.Request, o.Required = r.content(body), body.text("required") == "true"
		}
		for _, a := range m.value.get("responses").members {
			r.addResponse(&o, a.name, r.resolve(a.value))
		}
		byStatus := func(a, b response) int { return strings.Compare(a.Status, b.Status) }
		slices.SortStableFunc(o.Answers, byStatus)
		slices.SortStableFunc(o.Refusals, byStatus)
		o.Call = call(o, item.name)
		list = append(list, o)
	}
	return list
}

func (r reader) parameter(p *value) field {
	f := r.field(p.text("name"), p.get("schema"))
	f.In, f.Required = p.text("in"), p.text("required") == "true"
	f.Description = prose(p.text("description"))
	return f
}

func (r reader) addResponse(o *operation, status string, v *value) {
	a := response{Status: status, Description: prose(v.text("description")), Content: r.content(v)}
	if status >= "4" {
		a.Codes = r.codes(v)
		o.Refusals = append(o.Refusals, a)
		return
	}
	if headers := v.get("headers"); headers != nil {
		for _, h := range headers.members {
			header := r.resolve(h.value)
			if strings.HasPrefix(h.name, "X-") {
				continue // in every answer
			}
			f := r.field(h.name, header.get("schema"))
			f.Description = prose(header.text("description"))
			a.Headers = append(a.Headers, f)
		}
	}
	o.Answers = append(o.Answers, a)
}

// codes returns the possible codes of an error.
func (r reader) codes(v *value) []string {
	schema := v.get("content", "application/json", "schema")
	for _, path := range [][]string{{"properties", "error", "properties", "code"}, {"properties", "code"}} {
		code := schema.get(path...)
		if list := code.texts("enum"); list != nil {
			return list
		}
		if one := code.text("const"); one != "" {
			return []string{one}
		}
	}
	return nil
}

func segments(path string) []segment {
	var list []segment
	for path != "" {
		i := strings.IndexAny(path, "{}")
		if i < 0 {
			return append(list, segment{Text: path})
		}
		if path[i] == '{' {
			list = append(list, segment{Text: path[:i]})
		} else {
			list = append(list, segment{Text: "{" + path[:i] + "}", Open: true})
		}
		path = path[i+1:]
	}
	return list
}

// call returns the shell command that calls the operation.
func call(o operation, path string) string {
	if o.Scope == "" && o.Method != http.MethodGet {
		return ""
	}
	var b strings.Builder
	b.WriteString("curl ")
	if o.Method != http.MethodGet {
		b.WriteString("-X " + o.Method + " ")
	}
	b.WriteString(`"$FUNDRAIL` + path + `"`)
	if o.Scope != "" {
		b.WriteString(` \` + "\n" + `  -H "Authorization: Bearer $KEY"`)
	}
	if slices.ContainsFunc(o.Parameters, func(f field) bool { return f.Name == "Idempotency-Key" }) {
		b.WriteString(` \` + "\n" + `  -H "Idempotency-Key: $(uuidgen)"`)
	}
	if o.Request != nil && len(o.Request.Examples) > 0 {
		b.WriteString(` \` + "\n" + `  -H "Content-Type: application/json" \` + "\n  -d '" + o.Request.Examples[0].Text + "'")
	}
	return b.String()
}

// anchor turns a name into the fragment of an address.
func anchor(name string) string { return strings.ReplaceAll(strings.ToLower(name), " ", "-") }

// prose turns text with paragraphs and `code` into HTML.
func prose(text string) template.HTML {
	var b strings.Builder
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		if paragraph == "" {
			continue
		}
		b.WriteString("<p>")
		for i, part := range strings.Split(paragraph, "`") {
			part = template.HTMLEscapeString(part)
			if i%2 == 1 {
				part = "<code>" + part + "</code>"
			}
			b.WriteString(part)
		}
		b.WriteString("</p>")
	}
	return template.HTML(b.String()) //nolint:gosec // every part is escaped
}
