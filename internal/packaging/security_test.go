package packaging_test

import (
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSecurityPageNamesTests checks that the tests in docs/security.md exist.
func TestSecurityPageNamesTests(t *testing.T) {
	t.Parallel()

	repository := os.DirFS("../..")
	page, err := fs.ReadFile(repository, "docs/security.md")
	require.NoError(t, err)
	tests := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)
	require.NoError(t, fs.WalkDir(repository, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := fs.ReadFile(repository, path)
		for _, m := range declared.FindAllSubmatch(text, -1) {
			tests[string(m[1])] = true
		}
		return err
	}))
	named := regexp.MustCompile("`(Test\\w+)`").FindAllSubmatch(page, -1)
	require.NotEmpty(t, named)
	for _, m := range named {
		require.True(t, tests[string(m[1])], "%s is named and does not exist", m[1])
	}
}
