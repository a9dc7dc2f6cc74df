package worker_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func hostname(t *testing.T) string {
	t.Helper()

	name, err := os.Hostname()
	require.NoError(t, err)
	return name
}
