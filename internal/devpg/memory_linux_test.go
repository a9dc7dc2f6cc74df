package devpg

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAvailableMemory(t *testing.T) {
	t.Parallel()

	require.Equal(t, int64(2048), availableMemory("MemTotal:       8 kB\nMemAvailable:          2 kB\nBuffers: 1 kB\n"))
	require.Zero(t, availableMemory("MemTotal: 8 kB\n"))
}
