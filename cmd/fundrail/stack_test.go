package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWriteFileAtomically(t *testing.T) {
	t.Parallel()

	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte("old, and longer"), 0o644))

	require.NoError(t, writeFileAtomically(path, []byte("new")))

	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "new", string(content))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.Equal(t, []string{"file"}, list(t, filepath.Dir(path)))

	require.Error(t, writeFileAtomically(filepath.Join(path, "below"), nil))
}

func TestListenAgain(t *testing.T) {
	t.Parallel()

	first, err := listenAgain(t.Context(), "127.0.0.1:0", "")
	require.NoError(t, err)
	previous := first.Addr().String()

	second, err := listenAgain(t.Context(), "127.0.0.1:0", previous)
	require.NoError(t, err, "the port of before is in use, so another one is picked")
	require.NotEqual(t, previous, second.Addr().String())
	require.NoError(t, errors.Join(first.Close(), second.Close()))
}

func TestSamePlace(t *testing.T) {
	t.Parallel()

	const previous = "127.0.0.1:4321"
	for _, tt := range []struct {
		name, addr, previous string
		want                 bool
	}{
		{"AnyPort", "127.0.0.1:0", previous, true},
		{"NotAnAddress", "127.0.0.1", previous, false},
		{"NothingBefore", "127.0.0.1:0", "", false},
		{"OtherHost", "localhost:0", previous, false},
		{"PortChosen", "127.0.0.1:8080", previous, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			require.Equal(t, tt.want, samePlace(tt.addr, tt.previous))
		})
	}
}
