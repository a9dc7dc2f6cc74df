package api_test

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/api"
	"github.com/fundrail/fundrail/internal/apitest"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// A caller that goes while a write is in doubt, and while another attempt waits to be
// sent, says nothing of the attempt before: the write is still in doubt.
func TestOnceWithCallerThatGoesWhileInDoubt(t *testing.T) {
	t.Parallel()

	b := apitest.Setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	attempts := 0
	carriedOn := make(chan struct{}, 10)
	done, err := api.Once(ctx, b.Server, postgres.Caller{OrganizationID: b.Organization.ID, Mode: b.Mode}, api.Act[string]{
		IDs: []wallet.ID{wallet.NewID()},
		Attempt: func(ctx context.Context) (string, bool, error) {
			attempts++
			switch attempts {
			case 1: // stored, and the answer was lost
				return "value", false, &postgres.DoubtError{Err: io.ErrUnexpectedEOF}
			case 2: // as batch.Writer.Do answers when its caller goes before the member was taken
				cancel()
				<-ctx.Done()
				return "value", false, ctx.Err()
			default:
				carriedOn <- struct{}{}
				return "value", true, nil
			}
		},
	})
	require.NoError(t, err, "an error says that nothing happened")
	require.True(t, done.InDoubt)
	select {
	case <-carriedOn:
	case <-time.After(10 * time.Second):
		require.Fail(t, "the write is not carried on")
	}
}
