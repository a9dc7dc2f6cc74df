package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
)

// fileSuffix ends the name of a variable that holds the path of a secret's file, which is
// how container platforms provide secrets.
const fileSuffix = "_FILE"

// isSecret reports whether a setting may come from a file.
func isSecret(t reflect.Type) bool {
	return t == reflect.TypeFor[Secret]() || t == reflect.TypeFor[[]Secret]()
}

// readSecret reads a secret from its variable, or from the file that the variable with
// the suffix _FILE names. It drops line ends at the end of the file.
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
