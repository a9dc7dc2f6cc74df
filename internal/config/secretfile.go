package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
)

// fileSuffix ends the name of the variable that leads to a secret in a file, as
// container platforms mount them.
const fileSuffix = "_FILE"

// isSecret tells whether a setting may come from a file.
func isSecret(t reflect.Type) bool {
	return t == reflect.TypeFor[Secret]() || t == reflect.TypeFor[[]Secret]()
}

// readSecret gives the value of a secret from its variable, or from the file that
// the variable of the same name with _FILE names. Line ends behind it are not part
// of it.
func readSecret(getenv func(string) string, name string) (string, error) {
	value, path := getenv(name), getenv(name+fileSuffix)
	if path == "" {
		return value, nil
	}
	if value != "" {
		return "", fmt.Errorf("%s and %s%s are both set", name, name, fileSuffix)
	}
	content, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return "", fmt.Errorf("%s%s: %w", name, fileSuffix, err)
	}
	value = strings.TrimRight(string(content), "\r\n")
	if value == "" {
		err = errors.New("the file is empty")
		return "", fmt.Errorf("%s%s: %w", name, fileSuffix, err)
	}
	return value, nil
}
