package openapi_test

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/openapi"
	"github.com/fundrail/fundrail/internal/openapitest"
	"github.com/fundrail/fundrail/internal/wallet"
)

const address = "https://fundrail.example/openapi.json"

// load returns the document and a compiler for its schemas.
func load(t *testing.T) (map[string]any, *jsonschema.Compiler) {
	t.Helper()

	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(openapi.JSON()))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	require.NoError(t, c.AddResource(address, doc))
	return doc.(map[string]any), c
}

// walk visits every object and list below v with the pointer that leads to it.
func walk(v any, pointer string, visit func(pointer string, v any)) {
	visit(pointer, v)
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			walk(inner, pointer+"/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(name), visit)
		}
	case []any:
		for _, inner := range v {
			walk(inner, pointer+"/-", visit) // list elements have no pointers of their own here
		}
	}
}

// TestSchemas compiles every named schema and every schema of a body or a header.
func TestSchemas(t *testing.T) {
	t.Parallel()

	doc, c := load(t)
	n := 0
	walk(doc, "", func(pointer string, _ any) {
		named := regexp.MustCompile(`^/components/schemas/[^/]+$`).MatchString(pointer)
		inside := strings.HasSuffix(pointer, "/schema") && !strings.Contains(pointer, "/-")
		if named || inside {
			_, err := c.Compile(address + "#" + pointer)
			require.NoError(t, err, pointer)
			n++
		}
	})
	require.Greater(t, n, 100)
}

// TestReferences follows every reference and finds components without references.
func TestReferences(t *testing.T) {
	t.Parallel()

	doc, _ := load(t)
	used := map[string]bool{}
	walk(doc, "", func(pointer string, v any) {
		object, _ := v.(map[string]any)
		ref, ok := object["$ref"].(string)
		if !ok {
			return
		}
		var target any = doc
		for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
			inner, _ := target.(map[string]any)
			target = inner[part]
		}
		require.NotNil(t, target, "%s refers to %s", pointer, ref)
		used[ref] = true
	})
	for kind, things := range doc["components"].(map[string]any) {
		for name := range things.(map[string]any) {
			// The answers to unknown paths and methods belong to no operation.
			free := []string{"securitySchemes/secretKey", "responses/MethodNotAllowed", "responses/LagoMethodNotAllowed"}
			if !slices.Contains(free, kind+"/"+name) {
				require.True(t, used["#/components/"+kind+"/"+name], "nothing uses %s %s", kind, name)
			}
		}
	}
}

// TestExamples validates each example against its schema.
func TestExamples(t *testing.T) {
	t.Parallel()

	doc, c := load(t)
	n := 0
	check := func(pointer string, example any) {
		schema, err := c.Compile(address + "#" + pointer + "/schema")
		require.NoError(t, err)
		require.NoError(t, schema.Validate(example), pointer)
		n++
	}
	walk(doc, "", func(pointer string, v any) {
		object, _ := v.(map[string]any)
		if object["schema"] == nil || strings.Contains(pointer, "/-") {
			return
		}
		if example, ok := object["example"]; ok {
			check(pointer, example)
		}
		examples, _ := object["examples"].(map[string]any)
		for _, e := range examples {
			check(pointer, e.(map[string]any)["value"])
		}
	})
	require.Greater(t, n, 15)
}

// TestObjectsOfAnswersAreClosed checks that the schemas of answers allow no undescribed
// members.
func TestObjectsOfAnswersAreClosed(t *testing.T) {
	t.Parallel()

	doc, _ := load(t)
	schemas := doc["components"].(map[string]any)["schemas"].(map[string]any)
	open := regexp.MustCompile(`Request$|^Lago(TopUp|NewWallet|WalletSettings|Pairs)$`) // requests, and free pairs
	closed := 0
	for name, schema := range schemas {
		if open.MatchString(name) {
			continue
		}
		walk(schema, name, func(pointer string, v any) {
			object, _ := v.(map[string]any)
			if object["properties"] != nil {
				require.Equal(t, false, object["additionalProperties"], pointer)
				closed++
			}
		})
	}
	require.Greater(t, closed, 20)
}

// TestOperations checks that each operation is complete.
func TestOperations(t *testing.T) {
	t.Parallel()

	doc, _ := load(t)
	ids := map[string]bool{}
	var tags []string
	for _, tag := range doc["tags"].([]any) {
		tags = append(tags, tag.(map[string]any)["name"].(string))
	}
	for path, item := range doc["paths"].(map[string]any) {
		var inherited []any
		if list, ok := item.(map[string]any)["parameters"].([]any); ok {
			inherited = list
		}
		for method, v := range item.(map[string]any) {
			if method == "parameters" {
				continue
			}
			op, where := v.(map[string]any), method+" "+path
			require.NotEmpty(t, op["summary"], where)
			require.False(t, ids[op["operationId"].(string)], where)
			ids[op["operationId"].(string)] = true
			require.Contains(t, tags, op["tags"].([]any)[0], where)
			own, _ := op["parameters"].([]any)
			require.Equal(t, strings.Count(path, "{"), countPath(doc, slices.Concat(inherited, own)), where)
			if strings.HasPrefix(path, "/v1/") && method == "post" {
				require.Contains(t, toJSON(t, own), "IdempotencyKey", where)
			}
		}
	}
}

// TestGuideNamesWhatExists checks that the document has the operations that docs/api.md
// names.
func TestGuideNamesWhatExists(t *testing.T) {
	t.Parallel()

	text, err := os.ReadFile("../../docs/api.md")
	require.NoError(t, err)
	described := openapitest.Scopes()
	operation := regexp.MustCompile("`((?:GET|POST|PUT|PATCH|DELETE) /[^`…?]+)[`?]")
	found := operation.FindAllStringSubmatch(string(text), -1)
	require.Greater(t, len(found), 15)
	for _, m := range found {
		_, ok := described[m[1]]
		require.True(t, ok, "docs/api.md names %s, which is not described", m[1])
	}
}

// TestFundBounds compares the bounds of a fund request in the document with those
// that the service checks.
func TestFundBounds(t *testing.T) {
	t.Parallel()

	low, high := wallet.FormatMinor(wallet.MinFundAmount, wallet.USD), wallet.FormatMinor(wallet.MaxFundAmount, wallet.USD)
	doc, _ := load(t)
	descriptions, examples := 0, 0
	walk(doc, "", func(pointer string, v any) {
		object, _ := v.(map[string]any)
		if pointer == "/components/schemas/FundRequest/properties/amount" {
			descriptions++
			require.Contains(t, object["description"], "from "+low+" to "+high)
		}
		if message, ok := object["message"].(string); ok && strings.HasPrefix(message, "Amount must be at least") {
			examples++
			require.Equal(t, "Amount must be at least "+low, message)
		}
	})
	require.Equal(t, 1, descriptions)
	require.Equal(t, 1, examples)
}

func countPath(doc map[string]any, parameters []any) int {
	n := 0
	for _, p := range parameters {
		object := p.(map[string]any)
		if ref, ok := object["$ref"].(string); ok {
			name := ref[strings.LastIndexByte(ref, '/')+1:]
			object = doc["components"].(map[string]any)["parameters"].(map[string]any)[name].(map[string]any)
		}
		if object["in"] == "path" {
			n++
		}
	}
	return n
}

func toJSON(t *testing.T, v any) string {
	t.Helper()

	data, err := json.Marshal(v)
	require.NoError(t, err)
	return string(data)
}
