package openapitest

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/pb33f/jsonschema/v6"
	"github.com/pb33f/libopenapi"
	"github.com/pb33f/libopenapi-validator/config"
	validation "github.com/pb33f/libopenapi-validator/errors"
	"github.com/pb33f/libopenapi-validator/helpers"
	"github.com/pb33f/libopenapi-validator/responses"
	"github.com/pb33f/libopenapi-validator/schema_validation"
	"github.com/pb33f/libopenapi/datamodel/high/base"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"

	"github.com/fundrail/fundrail/internal/openapi"
)

const version = 3.1 // of OpenAPI

// description is the document with what validates against it.
type description struct {
	components *v3.Components
	options    *config.ValidationOptions
	paths      []route
	schemas    schema_validation.SchemaValidator
	validating sync.Mutex
}

// route is a path of the document with its operations by method.
type route struct {
	path       string
	segments   []string
	operations map[string]*v3.Operation
}

var load = sync.OnceValue(func() *description {
	document, err := libopenapi.NewDocument(openapi.JSON())
	if err != nil {
		panic(err) // a test of package openapi reads the document too
	}
	built, err := document.BuildV3Model()
	if err != nil {
		panic(err)
	}
	d := &description{components: built.Model.Components, options: config.NewValidationOptions(config.WithFormatAssertions())}
	d.schemas = schema_validation.NewSchemaValidator(config.WithExistingOpts(d.options))
	for path, item := range built.Model.Paths.PathItems.FromOldest() {
		r := route{path: path, segments: strings.Split(path, "/"), operations: map[string]*v3.Operation{}}
		for method, operation := range item.GetOperations().FromOldest() {
			r.operations[strings.ToUpper(method)] = operation
		}
		d.paths = append(d.paths, r)
	}
	// A path with a fixed segment goes before one with a parameter there.
	slices.SortFunc(d.paths, func(a, b route) int {
		return strings.Compare(strings.ReplaceAll(a.path, "{", "~"), strings.ReplaceAll(b.path, "{", "~"))
	})
	return d
})

// Scopes returns the scope that an API key needs for each operation of the document,
// such as "GET /v1/payments/{id}". The scope is empty where no key is needed.
func Scopes() map[string]string {
	scopes := map[string]string{}
	for _, r := range load().paths {
		for method, operation := range r.operations {
			scopes[method+" "+r.path] = ""
			for _, requirement := range operation.Security {
				scopes[method+" "+r.path] = requirement.Requirements.GetOrZero("secretKey")[0]
			}
		}
	}
	return scopes
}

// Check compares one answer with the document. An undescribed path must be answered
// with 404, and an undescribed method with 405. HEAD is GET without the body.
func Check(method, path string, status int, header http.Header, body []byte) error {
	d := load()
	described, err := d.response(method, path, status)
	if err != nil {
		return err
	}
	if err := d.checkHeaders(described, path, status, header); err != nil {
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
	return d.checkBody(described, header.Get("Content-Type"), body)
}

// CheckRequest compares the body of an accepted request with the document. It leaves out
// Lago's dialect, which accepts, as Lago does, more than a document should recommend,
// such as numbers in place of strings.
func CheckRequest(method, path string, status int, body []byte) error {
	d := load()
	r, found := d.route(path)
	if !found || status < 200 || status > 299 || len(body) == 0 || !strings.HasPrefix(path, "/v1/") {
		return nil
	}
	operation := r.operations[method]
	if operation == nil || operation.RequestBody == nil {
		return errors.New("there should be no body")
	}
	return d.validateJSON(operation.RequestBody.Content.GetOrZero("application/json").Schema, body)
}

// CheckSchema compares JSON with one of the document's named schemas.
func CheckSchema(name string, data []byte) error {
	d := load()
	return d.validateJSON(d.components.Schemas.GetOrZero(name), data)
}

// response finds the description of an answer.
func (d *description) response(method, path string, status int) (*v3.Response, error) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	r, found := d.route(path)
	operation := r.operations[method]
	refused := refusalsOf(path)
	name := ""
	switch {
	case status == http.StatusRequestHeaderFieldsTooLarge && refused.headers != "":
		name = refused.headers
	case !found && status == http.StatusNotFound:
		name = refused.path
	case !found:
		return nil, errors.New("the path is not described")
	case operation == nil && status == http.StatusMethodNotAllowed:
		name = refused.method
	case operation == nil:
		return nil, errors.New("the method is not described")
	}
	if name != "" {
		return d.components.Responses.GetOrZero(name), nil
	}
	described := operation.Responses.Codes.GetOrZero(strconv.Itoa(status))
	if described == nil {
		return nil, errors.New("the status is not described")
	}
	return described, nil
}

// refusals name the responses to requests that belong to no operation.
type refusals struct{ path, method, headers string }

func refusalsOf(path string) refusals {
	switch {
	case strings.HasPrefix(path, "/v1/"), path == "/v1":
		return refusals{"NotFound", "MethodNotAllowed", "HeadersTooLarge"}
	case strings.HasPrefix(path, "/api/v1/"), path == "/api/v1":
		return refusals{"LagoNotFound", "LagoMethodNotAllowed", "LagoHeadersTooLarge"}
	default:
		return refusals{"PlainError", "PlainError", "PlainError"}
	}
}

func (d *description) route(path string) (route, bool) {
	segments := strings.Split(path, "/")
	for _, r := range d.paths {
		if slices.EqualFunc(segments, r.segments, matches) {
			return r, true
		}
	}
	return route{}, false
}

// matches reports whether a segment of a path matches one of a route.
func matches(segment, pattern string) bool {
	return segment == pattern || strings.HasPrefix(pattern, "{") && segment != ""
}

func (d *description) checkHeaders(described *v3.Response, path string, status int, header http.Header) error {
	if described.Headers == nil {
		return nil
	}
	for name := range described.Headers.KeysFromOldest() {
		if n := len(header.Values(name)); n > 1 {
			return fmt.Errorf("the header %s is there %d times", name, n)
		}
	}
	req, err := http.NewRequest(http.MethodGet, "https://fundrail.example/", nil) //nolint:noctx // it is never sent
	if err != nil {
		return err
	}
	_, problems := responses.ValidateResponseHeaders(req, &http.Response{Header: header}, described.Headers, path,
		strconv.Itoa(status), config.WithExistingOpts(d.options))
	return join(problems)
}

func (d *description) checkBody(described *v3.Response, contentType string, body []byte) error {
	if described.Content == nil || described.Content.Len() == 0 {
		if len(body) > 0 {
			return errors.New("there should be no body")
		}
		return nil
	}
	mediaType, ok := helpers.FindMediaType(described.Content, contentType)
	if !ok {
		return fmt.Errorf("the content type %s is not described", contentType)
	}
	if strings.HasPrefix(contentType, "application/json") {
		return d.validateJSON(mediaType.Schema, body)
	}
	return d.validate(mediaType.Schema, string(body))
}

func (d *description) validateJSON(schema *base.SchemaProxy, data []byte) error {
	decoded, err := jsonschema.UnmarshalJSON(bytes.NewReader(data)) // keeps numbers as they are written
	if err != nil {
		return fmt.Errorf("the body is not JSON: %w", err)
	}
	return d.validate(schema, decoded)
}

func (d *description) validate(schema *base.SchemaProxy, decoded any) error {
	if decoded == nil {
		return errors.New("the body is null") // which the library does not look at
	}
	// The library changes a schema while it compiles it, and so must not see one twice at
	// a time.
	d.validating.Lock()
	defer d.validating.Unlock()
	_, problems := d.schemas.ValidateSchemaObjectWithVersion(schema.Schema(), decoded, version)
	return join(problems)
}

// join returns the problems as one error. The library leaves out of its own text which
// alternatives of a oneOf failed, so the text is that of the JSON Schema validator.
func join(problems []*validation.ValidationError) error {
	var list []error
	for _, p := range problems {
		if len(p.SchemaValidationErrors) == 0 || p.SchemaValidationErrors[0].OriginalJsonSchemaError == nil {
			list = append(list, fmt.Errorf("%s: %s", p.Message, p.Reason))
			continue
		}
		list = append(list, fmt.Errorf("%s: %w", p.Message, p.SchemaValidationErrors[0].OriginalJsonSchemaError))
	}
	return errors.Join(list...)
}
