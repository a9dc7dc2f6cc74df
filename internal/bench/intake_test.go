package bench

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/stripesim"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/jobs"
)

func TestEvents(t *testing.T) {
	t.Parallel()

	sample := []byte(`{"id":"evt_3AbcdefghijklmnopqrstuvW","object":"event","api_version":"2023-10-16","created":1760000000,` +
		`"livemode":false,"type":"payment_intent.succeeded","data":{"object":{"id":"pi_3AbcdefghijklmnopqrstuvW",` +
		`"object":"payment_intent","client_secret":"pi_3AbcdefghijklmnopqrstuvW_secret_x",` +
		`"metadata":{"payment_id":"0199c0de-0000-7000-8000-000000000001"}}}}`)
	h := &history{began: testfactory.Now, count: 3, open: true}
	tg := &target{processes: []*child{{addr: "127.0.0.1:1"}}, secret: "whsec_bench"}
	h.merchants = []merchant{{}}

	e, err := newEvents(sample, h, tg)
	require.NoError(t, err)
	w := e.writer()

	ids := map[string]bool{}
	for n := int64(1); n <= 7; n++ {
		req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(w.request(testfactory.Now))))
		require.NoError(t, err)
		body, err := io.ReadAll(req.Body)
		require.NoError(t, err)
		require.Equal(t, stripesim.Sign(body, testfactory.Now, "whsec_bench"), req.Header.Get("Stripe-Signature"))
		in, err := jobs.ParseEvent(body, wallet.ModeTest)
		require.NoError(t, err)
		require.Equal(t, h.intentID(n%3), in.Event.StripePaymentIntentID)
		require.Equal(t, h.id(n%3, ofPayment), in.Event.PaymentID)
		ids[in.Event.ID] = true
	}
	require.Len(t, ids, 7, "all events are different")

	_, err = newEvents([]byte(`{"id":"evt_1","data":{"object":{"id":"pi_1"}}}`), h, tg)
	require.ErrorContains(t, err, "cannot be written into")
}
