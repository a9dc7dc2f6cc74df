package lava

import (
	"encoding/json"

	"github.com/fundrail/fundrail/internal/api"
)

// text decodes a string. When there is none under the name, the second result
// says what is wrong.
func text(o api.Object, name string) (value, problem string) {
	raw, ok := o[name]
	if !ok {
		return "", "Missing required field: " + name
	}
	if kind := api.KindOf(raw); kind != "string" {
		return "", "Expected string, received " + kind
	}
	if err := json.Unmarshal(raw, &value); err != nil {
		return "", "Expected string" // valid JSON of the kind decodes
	}
	return value, ""
}
