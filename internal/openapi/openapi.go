// Package openapi is the description of the HTTP API: one OpenAPI 3.1 document,
// written by hand in openapi.yaml, and the two ways in which it is served, as JSON
// for programs and as a page for people. It answers no other request; that it tells
// the truth about those who do is checked by the tests that go through package
// openapitest.
package openapi

import (
	_ "embed"
	"sync"
)

//go:embed openapi.yaml
var source []byte

// document is the document as it was written.
var document = sync.OnceValue(func() *value {
	doc, err := parse(source)
	if err != nil {
		panic("openapi.yaml: " + err.Error()) // the file is ours, and tests read it
	}
	return doc
})

// JSON is the document as it is served. Its members keep the order in which they
// were written. The caller must not change it.
var JSON = sync.OnceValue(func() []byte {
	data, err := document().MarshalJSON()
	if err != nil {
		panic("openapi.json: " + err.Error()) // it has strings, whole numbers and booleans alone
	}
	return data
})
