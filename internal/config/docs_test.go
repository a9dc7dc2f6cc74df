package config_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/config"
)

// TestOperationsPage compares the durations in docs/operations.md with the defaults of the settings.
func TestOperationsPage(t *testing.T) {
	t.Parallel()

	content, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations.md"))
	require.NoError(t, err)
	for _, settings := range []any{config.Retention{}, config.Stopping{}} {
		for _, field := range reflect.VisibleFields(reflect.TypeOf(settings)) {
			name, value := field.Tag.Get("env"), field.Tag.Get("default")
			d, err := time.ParseDuration(value)
			require.NoError(t, err)
			rows := 0
			for line := range strings.Lines(string(content)) {
				cells := strings.Split(line, "|")
				if len(cells) < 4 || strings.TrimSpace(cells[2]) != "`"+name+"`" {
					continue
				}
				rows++
				said, err := time.ParseDuration(strings.ReplaceAll(strings.TrimSpace(cells[3]), " ", ""))
				require.NoError(t, err, line)
				require.Equal(t, d, said, name)
			}
			require.Equal(t, 1, rows, "%s has a row in a table of the page", name)
		}
	}
}
