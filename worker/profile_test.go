package worker_test

import (
	"net"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/worker"
)

func TestProfiles(t *testing.T) {
	t.Parallel()

	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())
	b := setup(t)

	p := b.start(t, func(o *worker.Options) { o.Settings.ProfileListenAddr = addr })

	require.Equal(t, http.StatusOK, getBy(t, http.DefaultClient, "http://"+addr+"/debug/pprof/heap"))
	require.Equal(t, http.StatusNotFound, get(t, p.url+"/debug/pprof/heap"), "merchants do not see it")
}
