package devstack

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWriteFile(t *testing.T) {
	t.Parallel()

	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte("old, and longer"), 0o644))

	require.NoError(t, writeFile(path, []byte("new")))

	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "new", string(content))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, entries, 1, "no temporary file is left")

	require.Error(t, writeFile(filepath.Join(path, "below"), nil))
}

func TestListen(t *testing.T) {
	t.Parallel()

	first, err := listen(t.Context(), "127.0.0.1:0", "")
	require.NoError(t, err)
	previous := first.Addr().String()

	second, err := listen(t.Context(), "127.0.0.1:0", previous)
	require.NoError(t, err, "the previous port is in use, so another one is picked")
	require.NotEqual(t, previous, second.Addr().String())
	require.NoError(t, errors.Join(first.Close(), second.Close()))
}

func TestAnyPortOfSameHost(t *testing.T) {
	t.Parallel()

	const previous = "127.0.0.1:4321"
	for _, tt := range []struct {
		name, addr, previous string
		want                 bool
	}{
		{"AnyPort", "127.0.0.1:0", previous, true},
		{"NotAnAddress", "127.0.0.1", previous, false},
		{"NoPrevious", "127.0.0.1:0", "", false},
		{"OtherHost", "localhost:0", previous, false},
		{"FixedPort", "127.0.0.1:8080", previous, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			require.Equal(t, tt.want, anyPortOfSameHost(tt.addr, tt.previous))
		})
	}
}
