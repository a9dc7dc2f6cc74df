// Package openapi holds the description of the HTTP API, an OpenAPI 3.1 document that is
// written by hand in openapi.yaml, and serves it as JSON for programs and as a page for
// people. Tests compare the API's answers with the document through package openapitest.
package openapi

import (
	_ "embed"
	"sync"
)

//go:embed openapi.yaml
var source []byte

// document is the parsed document.
var document = sync.OnceValue(func() *value {
	doc, err := parse(source)
	if err != nil {
		panic("openapi.yaml: " + err.Error()) // the file is embedded, and tests parse it
	}
	return doc
})

// JSON returns the document as it is served. Its members have the order of the file. The
// caller must not change it.
var JSON = sync.OnceValue(func() []byte {
	data, err := document().MarshalJSON()
	if err != nil {
		panic("openapi.json: " + err.Error()) // it has only strings, integers and booleans
	}
	return data
})
