package torture

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFailedToStart(t *testing.T) {
	t.Parallel()

	const earlier = `{"msg":"started"}` + "\n"
	for log, want := range map[string]bool{
		"fundrail: database: no route\n":                          true,
		`{"level":"WARN"}` + "\nfundrail: start river: timeout\n": true,
		`{"msg":"started"}` + "\nfundrail: the server has gone\n": false,
		"panic: nil map\n\ngoroutine 1 [running]:\nmain.main()\n": false,
		"": false,
		`{"msg":"started"}` + "\n" + `{"msg":"stopped"}` + "\n": false,
	} {
		path := filepath.Join(t.TempDir(), "log")
		require.NoError(t, os.WriteFile(path, []byte(earlier+log), 0o600))
		require.Equal(t, want, failedToStart(path, int64(len(earlier))), log)
	}
}
