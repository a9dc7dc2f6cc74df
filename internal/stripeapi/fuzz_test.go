package stripeapi

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/wallet"
)

// FuzzIntent sorts any body that can be decoded as an intent.
func FuzzIntent(f *testing.F) {
	for _, row := range sorted {
		f.Add([]byte(row.body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		in := new(intent)
		if json.Unmarshal(body, in) != nil {
			return
		}
		o := sortIntent(in, "")
		requireSane(t, o)
		if o.Kind != wallet.OutcomeUnknown || o.IntentID != "" {
			require.Equal(t, in.ID, o.IntentID)
		}
	})
}

// FuzzError sorts any body that can be decoded as an error, under any status, as
// the answer to a charge and to a read.
func FuzzError(f *testing.F) {
	for _, row := range sorted {
		f.Add(row.status, []byte(row.body))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		p, ok := decodeProblem(body)
		if !ok {
			return
		}
		x := &exchange{status: status, requestID: "req_1"}
		e := &Error{Op: "charge", Kind: kindOf(status, p), Status: status, Code: word(p.Code), Type: word(p.Type), problem: p, RequestID: x.requestID}
		requireSane(t, sortFailure(e))
		look := unreadIntent(e)
		requireSane(t, look)
		require.NotEqual(t, wallet.OutcomeRejected, look.Kind)
		require.NotContains(t, e.Error(), "_secret_")
	})
}

// FuzzEventPage decodes any body as a page of events.
func FuzzEventPage(f *testing.F) {
	f.Add([]byte(`{"object":"list","has_more":true,"data":[{"id":"evt_1","type":"charge.refunded","created":1}]}`))
	f.Add([]byte(`{"object":"list","data":[null]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		p := new(eventPage)
		if json.Unmarshal(body, p) != nil || !p.complete() {
			return
		}
		for _, e := range p.Data {
			require.True(t, validID(e.ID))
			require.True(t, json.Valid(e.Raw))
		}
		if p.HasMore {
			require.NotEmpty(t, p.newest()+p.oldest())
		}
	})
}

// requireSane checks what must hold for every outcome.
func requireSane(t *testing.T, o wallet.Outcome) {
	t.Helper()
	said := fmt.Sprintf("%+v", o.Failure) + o.Reason + o.IntentID + o.ChargeID
	require.NotContains(t, said, "_secret_")
	switch o.Kind {
	case wallet.OutcomeSucceeded:
		require.NotEmpty(t, o.IntentID)
		require.Positive(t, o.AmountReceived)
		require.NotEmpty(t, o.Currency)
	case wallet.OutcomeRequiresAction:
		require.NotEmpty(t, o.IntentID)
		require.True(t, isPage(o.RedirectURL))
	case wallet.OutcomeDeclined:
		require.NotEmpty(t, o.Failure.Code)
		require.NotEmpty(t, o.Failure.Message)
		require.NotEmpty(t, o.Failure.Class)
	case wallet.OutcomeCanceled, wallet.OutcomeRejected:
		require.NotEmpty(t, o.Failure.Code)
		require.NotEmpty(t, o.Failure.Message)
	case wallet.OutcomeMissing, wallet.OutcomeProcessing, wallet.OutcomeUnavailable, wallet.OutcomeUnknown:
	default:
		require.Failf(t, "no kind", "%q", o.Kind)
	}
}
