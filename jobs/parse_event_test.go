package jobs_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/jobs"
)

func TestParseEvent(t *testing.T) {
	t.Parallel()

	t.Run("IntentOfAnotherObject", func(t *testing.T) {
		t.Parallel()

		for _, intent := range []string{`"pi_7"`, `{"id":"pi_7","object":"payment_intent"}`} {
			body := fmt.Sprintf(`{"id":"evt_1","object":"event","type":"charge.succeeded","created":1,"data":{"object":
				{"id":"ch_1","object":"charge","payment_intent":%s}}}`, intent)
			in, err := jobs.ParseEvent([]byte(body), wallet.ModeTest)
			require.NoError(t, err)
			require.Equal(t, "pi_7", in.Event.StripePaymentIntentID)
			require.Equal(t, "ch_1", in.Event.ObjectID)
		}
	})

	t.Run("OtherMode", func(t *testing.T) {
		t.Parallel()

		_, err := jobs.ParseEvent([]byte(`{"id":"evt_1","object":"event","type":"x","livemode":true}`), wallet.ModeTest)
		require.ErrorIs(t, err, jobs.ErrOtherMode)
	})
}

func FuzzParseEvent(f *testing.F) {
	f.Add([]byte(`{"id":"evt_1","object":"event","type":"payment_intent.succeeded","created":1773480000,"data":{"object":
		{"id":"pi_1","object":"payment_intent","metadata":{"payment_id":"019ced1a-8a6e-7c5f-b2c3-0f2d4f3d8a11"}}}}`))
	f.Add([]byte(`{"id":"evt_1","object":"event","type":"a","data":null}`))
	f.Add([]byte(`{"id":"evt_1","object":"event","type":"a","data":{"object":{"payment_intent":{"id":"\u0000"}}}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		in, err := jobs.ParseEvent(body, wallet.ModeTest)
		if err != nil {
			require.True(t, errors.Is(err, jobs.ErrNotAnEvent) || errors.Is(err, jobs.ErrOtherMode))
			return
		}
		e := in.Event
		require.NotEmpty(t, e.ID)
		require.NotContains(t, e.ID+e.Type+e.ObjectID+e.StripePaymentIntentID+e.APIVersion, "\x00", "Postgres cannot store it")
		require.LessOrEqual(t, len(e.StripePaymentIntentID), 255)
		require.Equal(t, strings.HasPrefix(e.Type, "payment_intent."), in.IgnorableWhenFinal)
	})
}
