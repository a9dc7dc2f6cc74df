package openapitest

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/fundrail/fundrail/internal/openapi"
)

// address stands for the document where schemas refer to each other.
const address = "https://fundrail.example/openapi.json"

// description is the document, ready to be checked against.
type description struct {
	doc      any
	compiler *jsonschema.Compiler
	paths    []route

	mu      sync.Mutex
	schemas map[string]*jsonschema.Schema
}

// route is a path of the document and what is described below it.
type route struct {
	path     string
	segments []string
	item     map[string]any
}

var load = sync.OnceValue(func() *description {
	d := &description{compiler: jsonschema.NewCompiler(), schemas: map[string]*jsonschema.Schema{}}
	d.compiler.DefaultDraft(jsonschema.Draft2020)
	d.compiler.AssertFormat()
	var err error
	if d.doc, err = jsonschema.UnmarshalJSON(bytes.NewReader(openapi.JSON())); err != nil {
		panic(err) // the document is ours
	}
	if err := d.compiler.AddResource(address, d.doc); err != nil {
		panic(err)
	}
	for path, item := range object(d.doc, "paths") {
		d.paths = append(d.paths, route{path, strings.Split(path, "/"), item.(map[string]any)})
	}
	// A path that names a segment goes before one that leaves it open.
	slices.SortFunc(d.paths, func(a, b route) int {
		return strings.Compare(strings.ReplaceAll(a.path, "{", "~"), strings.ReplaceAll(b.path, "{", "~"))
	})
	return d
})

// methods are those that a path can be described with.
var methods = []string{
	http.MethodDelete, http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPatch, http.MethodPost, http.MethodPut,
}

// Scopes names, for each operation that is described, such as "GET /v1/payments/{id}",
// the scope that an API key needs for it, empty where no key is asked for.
func Scopes() map[string]string {
	scopes := map[string]string{}
	for _, r := range load().paths {
		for _, method := range methods {
			operation, ok := r.item[strings.ToLower(method)].(map[string]any)
			if !ok {
				continue
			}
			scopes[method+" "+r.path] = ""
			if wanted, _ := operation["security"].([]any); len(wanted) > 0 {
				names, _ := wanted[0].(map[string]any)["secretKey"].([]any)
				scopes[method+" "+r.path] = names[0].(string)
			}
		}
	}
	return scopes
}

// Check holds one answer to the description. A path that is not described, or not
// with the method, must be refused as such. HEAD is GET without the body.
func Check(method, path string, status int, header http.Header, body []byte) error {
	d := load()
	response, err := d.responseFor(method, path, status)
	if err != nil {
		return err
	}
	response = d.follow(response)
	if err := d.checkHeaders(response, header); err != nil {
		return err
	}
	if method == http.MethodHead {
		return nil
	}
	if header.Get("Content-Encoding") == "gzip" {
		unzip, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return err
		}
		if body, err = io.ReadAll(unzip); err != nil {
			return err
		}
	}
	return d.checkBody(response, header.Get("Content-Type"), body)
}

// CheckRequest holds the body of a request that was accepted to the description.
// Lago's dialect is left out: it takes, as Lago does, numbers for texts and much
// else that a description should not recommend.
func CheckRequest(method, path string, status int, body []byte) error {
	d := load()
	r, found := d.route(path)
	if !found || status < 200 || status > 299 || len(body) == 0 || !strings.HasPrefix(path, "/v1/") {
		return nil
	}
	schema := "/paths/" + escape(r.path) + "/" + strings.ToLower(method) + "/requestBody/content/application~1json/schema"
	if d.at(schema) == nil {
		return errors.New("there should be no body")
	}
	content, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("the body is not JSON: %w", err)
	}
	return d.validate(schema, content)
}

// responseFor finds the pointer to the described response.
func (d *description) responseFor(method, path string, status int) (string, error) {
	name := strings.ToLower(method)
	if method == http.MethodHead {
		name = "get"
	}
	r, found := d.route(path)
	_, has := r.item[name]
	refusals := refusalsFor(path)
	switch {
	case status == http.StatusRequestHeaderFieldsTooLarge && refusals.headers != "":
		return refusals.headers, nil
	case !found && status == http.StatusNotFound:
		return refusals.notFound, nil
	case !found:
		return "", errors.New("the path is not described")
	case !has && status == http.StatusMethodNotAllowed:
		return refusals.method, nil
	case !has:
		return "", errors.New("the method is not described")
	}
	pointer := "/paths/" + escape(r.path) + "/" + name + "/responses/" + strconv.Itoa(status)
	if d.at(pointer) == nil {
		return "", errors.New("the status is not described")
	}
	return pointer, nil
}

// refusals are the responses of paths and methods that there are none of.
type refusals struct{ notFound, method, headers string }

func refusalsFor(path string) refusals {
	const responses = "/components/responses/"
	switch {
	case strings.HasPrefix(path, "/v1/"), path == "/v1":
		return refusals{responses + "NotFound", responses + "MethodNotAllowed", responses + "HeadersTooLarge"}
	case strings.HasPrefix(path, "/api/v1/"), path == "/api/v1":
		return refusals{responses + "LagoNotFound", responses + "LagoMethodNotAllowed", responses + "LagoHeadersTooLarge"}
	default:
		return refusals{responses + "PlainError", responses + "PlainError", responses + "PlainError"}
	}
}

func (d *description) route(path string) (route, bool) {
	segments := strings.Split(path, "/")
	for _, r := range d.paths {
		if len(segments) == len(r.segments) && fits(segments, r.segments) {
			return r, true
		}
	}
	return route{}, false
}

func fits(segments, pattern []string) bool {
	for i, p := range pattern {
		if p != segments[i] && (!strings.HasPrefix(p, "{") || segments[i] == "") {
			return false
		}
	}
	return true
}

func (d *description) checkHeaders(response string, header http.Header) error {
	described, _ := d.at(response + "/headers").(map[string]any)
	for name := range described {
		pointer := d.follow(response + "/headers/" + escape(name))
		sent := header.Values(name)
		required, _ := d.at(pointer + "/required").(bool)
		switch {
		case len(sent) == 0 && required:
			return fmt.Errorf("the header %s is missing", name)
		case len(sent) == 0:
			continue
		case len(sent) > 1:
			return fmt.Errorf("the header %s is there %d times", name, len(sent))
		}
		var content any = sent[0]
		if d.at(pointer+"/schema/type") == "integer" {
			content = json.Number(sent[0])
		}
		if err := d.validate(pointer+"/schema", content); err != nil {
			return fmt.Errorf("the header %s: %w", name, err)
		}
	}
	return nil
}

func (d *description) checkBody(response, contentType string, body []byte) error {
	content, _ := d.at(response + "/content").(map[string]any)
	if len(content) == 0 {
		if len(body) > 0 {
			return errors.New("there should be no body")
		}
		return nil
	}
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return fmt.Errorf("content type %q: %w", contentType, err)
	}
	if _, ok := content[kind]; !ok {
		return fmt.Errorf("the content type %s is not described", kind)
	}
	var decoded any = string(body)
	if kind == "application/json" {
		if decoded, err = jsonschema.UnmarshalJSON(bytes.NewReader(body)); err != nil {
			return fmt.Errorf("the body is not JSON: %w", err)
		}
	}
	return d.validate(response+"/content/"+escape(kind)+"/schema", decoded)
}

// CheckSchema holds JSON to one of the document's named schemas.
func CheckSchema(name string, data []byte) error {
	decoded, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("not JSON: %w", err)
	}
	return load().validate("/components/schemas/"+name, decoded)
}

func (d *description) validate(pointer string, content any) error {
	d.mu.Lock()
	schema, ok := d.schemas[pointer]
	if !ok {
		var err error
		if schema, err = d.compiler.Compile(address + "#" + pointer); err != nil {
			d.mu.Unlock()
			return err
		}
		d.schemas[pointer] = schema
	}
	d.mu.Unlock()
	return schema.Validate(content)
}

// at is the part of the document that a pointer leads to, nil if there is none.
// References on the way are followed.
func (d *description) at(pointer string) any {
	v := d.doc
	for part := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		v = d.resolved(v)
		name := strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		inner, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = inner[name]
	}
	return d.resolved(v)
}

func (d *description) resolved(v any) any {
	if ref := reference(v); ref != "" {
		return d.at(ref)
	}
	return v
}

// follow is the pointer to what the last part of a pointer refers to.
func (d *description) follow(pointer string) string {
	parent, last, _ := cutLast(pointer)
	inner, _ := d.at(parent).(map[string]any)
	if ref := reference(inner[strings.NewReplacer("~1", "/", "~0", "~").Replace(last)]); ref != "" {
		return ref
	}
	return pointer
}

func cutLast(pointer string) (parent, last string, found bool) {
	i := strings.LastIndexByte(pointer, '/')
	if i < 0 {
		return "", pointer, false
	}
	return pointer[:i], pointer[i+1:], true
}

func reference(v any) string {
	inner, _ := v.(map[string]any)
	ref, _ := inner["$ref"].(string)
	return strings.TrimPrefix(ref, "#")
}

func object(v any, name string) map[string]any {
	inner, _ := v.(map[string]any)[name].(map[string]any)
	return inner
}

func escape(s string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(s) }
