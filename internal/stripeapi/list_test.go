package stripeapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/wallet"
)

// fakeList serves a list as Stripe does, newest first, in pages of a given size.
type fakeList struct {
	items []string // ids, newest first
	size  int
	// render returns an item's JSON.
	render func(id string) string
}

func (s fakeList) serve(res http.ResponseWriter, req *http.Request) {
	query := req.URL.Query()
	from, to := 0, len(s.items)
	if after := query.Get("starting_after"); after != "" {
		from = slices.Index(s.items, after) + 1
	}
	hasMore := to-from > s.size
	if before := query.Get("ending_before"); before != "" {
		if to = slices.Index(s.items, before); to < 0 {
			answer(http.StatusBadRequest, errorJSON(`"type":"invalid_request_error","code":"resource_missing","param":"ending_before"`))(res, req)
			return
		}
		hasMore = to > s.size
		from = max(0, to-s.size)
	}
	to = min(to, from+s.size)
	items := make([]string, 0, to-from)
	for _, id := range s.items[from:to] {
		items = append(items, s.render(id))
	}
	answer(http.StatusOK, fmt.Sprintf(`{"object":"list","has_more":%t,"data":[%s]}`, hasMore, strings.Join(items, ",")))(res, req)
}

// numbered returns n ids, newest first, such as x_3, x_2, x_1.
func numbered(prefix string, n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = prefix + strconv.Itoa(n-i)
	}
	return ids
}

func queries(t *testing.T, w *wire) []url.Values {
	t.Helper()
	var all []url.Values
	for _, req := range w.requests() {
		u, err := url.Parse(req.URI)
		require.NoError(t, err)
		all = append(all, u.Query())
	}
	return all
}

func TestListIntents(t *testing.T) {
	t.Parallel()

	render := func(id string) string {
		return strings.Replace(intentJSON("succeeded", `,"amount_received":7500,"created":1772600767`), "pi_1", id, 1)
	}

	t.Run("AllPages", func(t *testing.T) {
		t.Parallel()

		w := newWire(t, fakeList{items: numbered("pi_", 7), size: 3, render: render}.serve)

		got, err := collect(w.client(t).ListIntents(t.Context(), Window{Since: now, Until: now.Add(time.Hour)}))

		require.NoError(t, err)
		require.Len(t, got, 7)
		require.Equal(t, Intent{
			Outcome: wallet.Outcome{
				Kind: wallet.OutcomeSucceeded, IntentID: "pi_7", PaymentID: paymentID, AmountReceived: 75_00, Currency: wallet.USD,
			},
			Amount: 75_00, Currency: wallet.USD, CustomerID: "cus_1", CreatedAt: time.Unix(1772600767, 0).UTC(),
		}, got[0])
		asked := queries(t, w)
		require.Len(t, asked, 3)
		require.Equal(t, "100", asked[0].Get("limit"))
		require.Equal(t, strconv.FormatInt(now.Unix(), 10), asked[0].Get("created[gte]"))
		require.Equal(t, strconv.FormatInt(now.Add(time.Hour).Unix(), 10), asked[0].Get("created[lt]"))
		require.Equal(t, "pi_2", asked[2].Get("starting_after"))
	})

	t.Run("WithoutWindow", func(t *testing.T) {
		t.Parallel()

		w := newWire(t, fakeList{size: 3, render: render}.serve)

		got, err := collect(w.client(t).ListIntents(t.Context(), Window{}))

		require.NoError(t, err)
		require.Empty(t, got)
		require.Equal(t, url.Values{"limit": {"100"}}, queries(t, w)[0])
	})

	t.Run("StopsWithItsCaller", func(t *testing.T) {
		t.Parallel()

		w := newWire(t, fakeList{items: numbered("pi_", 7), size: 3, render: render}.serve)
		for _, err := range w.client(t).ListIntents(t.Context(), Window{}) {
			require.NoError(t, err)
			break
		}

		require.Len(t, w.requests(), 1)
	})

	t.Run("FailsOnALaterPage", func(t *testing.T) {
		t.Parallel()

		pages := fakeList{items: numbered("pi_", 7), size: 3, render: render}
		w := newWire(t, func(res http.ResponseWriter, req *http.Request) {
			if req.URL.Query().Get("starting_after") != "" {
				answer(http.StatusInternalServerError, errorJSON(`"type":"api_error"`))(res, req)
				return
			}
			pages.serve(res, req)
		})

		_, err := collect(w.client(t).ListIntents(t.Context(), Window{}))

		require.EqualError(t, err, "stripe: list_intents: unknown: api_error, status 500, req_1")
	})

	t.Run("EndsAtARepeatedPage", func(t *testing.T) {
		t.Parallel()

		w := newWire(t, answer(http.StatusOK, `{"object":"list","has_more":true,"data":[{"id":"pi_1"}]}`))

		_, err := collect(w.client(t).ListIntents(t.Context(), Window{}))

		require.Error(t, err)
		require.Len(t, w.requests(), 2)
	})
}

func TestFindIntent(t *testing.T) {
	t.Parallel()

	declinedMore := lastError(`"type":"card_error","code":"expired_card","message":"Your card has expired."`)
	other := strings.Replace(intentJSON("succeeded", `,"amount_received":1`), paymentID.String(), walletID.String(), 1)

	for name, tc := range map[string]struct {
		intents []string // newest first
		found   bool
		want    wallet.OutcomeKind
		id      string
		reason  string
	}{
		"None":            {nil, false, "", "", ""},
		"OnlyOthers":      {[]string{named("pi_9", other)}, false, "", "", ""},
		"One":             {[]string{named("pi_9", other), named("pi_2", succeeded)}, true, wallet.OutcomeSucceeded, "pi_2", ""},
		"OneDeclined":     {[]string{named("pi_2", intentJSON("requires_payment_method", declinedMore))}, true, wallet.OutcomeDeclined, "pi_2", ""},
		"SucceededFirst":  {[]string{named("pi_3", succeeded), named("pi_2", intentJSON("processing", ``))}, true, wallet.OutcomeSucceeded, "pi_3", "2 intents name this payment"},
		"SucceededLast":   {[]string{named("pi_4", intentJSON("canceled", ``)), named("pi_3", intentJSON("processing", ``)), named("pi_2", succeeded)}, true, wallet.OutcomeSucceeded, "pi_2", "3 intents name this payment"},
		"OpenOverClosed":  {[]string{named("pi_3", intentJSON("canceled", ``)), named("pi_2", intentJSON("processing", ``))}, true, wallet.OutcomeProcessing, "pi_2", "2 intents name this payment"},
		"NewestOfEquals":  {[]string{named("pi_3", intentJSON("canceled", ``)), named("pi_2", intentJSON("canceled", ``))}, true, wallet.OutcomeCanceled, "pi_3", "2 intents name this payment"},
		"MetadataOfOther": {[]string{strings.Replace(named("pi_3", succeeded), paymentID.String(), "none", 1)}, false, "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			body := `{"object":"list","has_more":false,"data":[` + strings.Join(tc.intents, ",") + `]}`
			w := newWire(t, answer(http.StatusOK, body))

			got, found, err := w.client(t).FindIntent(t.Context(), "cus_1", paymentID, now)

			require.NoError(t, err)
			require.Equal(t, tc.found, found)
			require.Equal(t, tc.want, got.Kind)
			require.Equal(t, tc.id, got.IntentID)
			require.Equal(t, tc.reason, got.Reason)
			require.Equal(t, url.Values{
				"created[gte]": {strconv.FormatInt(now.Add(-5*time.Minute).Unix(), 10)},
				"customer":     {"cus_1"},
				"limit":        {"100"},
			}, queries(t, w)[0])
		})
	}

	t.Run("OnTheLastPage", func(t *testing.T) {
		t.Parallel()

		w := newWire(t, fakeList{items: numbered("pi_", 7), size: 2, render: func(id string) string {
			if id == "pi_1" {
				return named(id, succeeded)
			}
			return named(id, other)
		}}.serve)

		got, found, err := w.client(t).FindIntent(t.Context(), "cus_1", paymentID, now)

		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, "pi_1", got.IntentID)
	})

	t.Run("FailureIsNotAbsence", func(t *testing.T) {
		t.Parallel()

		w := newWire(t, answer(http.StatusOK, `{"object":"list"}`))

		_, _, err := w.client(t).FindIntent(t.Context(), "cus_1", paymentID, now)

		require.Error(t, err)
	})
}

func named(id, intent string) string { return strings.Replace(intent, `"pi_1"`, `"`+id+`"`, 1) }

func TestListEvents(t *testing.T) {
	t.Parallel()

	render := func(id string) string {
		return fmt.Sprintf(`{"id":%q, "type":"payment_intent.succeeded","created":1772600767,"livemode":false,"api_version":"2023-10-16","data":{"object":{"id":"pi_1"}}}`, id)
	}
	list := func(t *testing.T, w *wire, q EventQuery) []string {
		t.Helper()
		ids := []string{}
		for e, err := range w.client(t).ListEvents(t.Context(), q) {
			require.NoError(t, err)
			ids = append(ids, e.ID)
		}
		return ids
	}
	oldestFirst := func(from, to int) []string {
		ids := []string{}
		for i := from; i <= to; i++ {
			ids = append(ids, "evt_"+strconv.Itoa(i))
		}
		return ids
	}

	t.Run("Event", func(t *testing.T) {
		t.Parallel()

		w := newWire(t, fakeList{items: numbered("evt_", 1), size: 3, render: render}.serve)

		got, err := collect(w.client(t).ListEvents(t.Context(), EventQuery{}))

		require.NoError(t, err)
		require.Equal(t, []Event{{
			ID: "evt_1", Type: "payment_intent.succeeded", APIVersion: "2023-10-16", CreatedAt: time.Unix(1772600767, 0).UTC(),
			Raw: json.RawMessage(render("evt_1")),
		}}, got)
	})

	for name, tc := range map[string]struct {
		stored, size int
		query        EventQuery
		want         []string
		calls        int
	}{
		"NothingThere":         {0, 3, EventQuery{}, oldestFirst(1, 0), 1},
		"OnePage":              {3, 3, EventQuery{}, oldestFirst(1, 3), 1},
		"ManyPages":            {8, 3, EventQuery{}, oldestFirst(1, 8), 5},
		"FullLastPage":         {9, 3, EventQuery{}, oldestFirst(1, 9), 5},
		"AfterCursor":          {8, 3, EventQuery{After: "evt_5"}, oldestFirst(6, 8), 1},
		"AfterCursorManyPages": {8, 3, EventQuery{After: "evt_1"}, oldestFirst(2, 8), 3},
		"AfterTheNewest":       {8, 3, EventQuery{After: "evt_8"}, oldestFirst(1, 0), 1},
		"AfterForgottenCursor": {8, 3, EventQuery{After: "evt_0", Since: now}, oldestFirst(1, 8), 6},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			w := newWire(t, fakeList{items: numbered("evt_", tc.stored), size: tc.size, render: render}.serve)

			require.Equal(t, tc.want, list(t, w, tc.query))
			require.Len(t, w.requests(), tc.calls)
		})
	}

	t.Run("Query", func(t *testing.T) {
		t.Parallel()

		w := newWire(t, fakeList{items: numbered("evt_", 1), size: 3, render: render}.serve)
		list(t, w, EventQuery{Since: now, Types: []string{"payment_intent.*", "refund.failed"}})
		list(t, w, EventQuery{Since: now, After: "evt_1"})

		require.Equal(t, []url.Values{
			{
				"created[gte]": {strconv.FormatInt(now.Unix(), 10)},
				"limit":        {"100"},
				"types[0]":     {"payment_intent.*"},
				"types[1]":     {"refund.failed"},
			},
			{"ending_before": {"evt_1"}, "limit": {"100"}},
		}, queries(t, w))
	})

	t.Run("StopsWithItsCaller", func(t *testing.T) {
		t.Parallel()

		w := newWire(t, fakeList{items: numbered("evt_", 8), size: 3, render: render}.serve)
		seen := 0
		for _, err := range w.client(t).ListEvents(t.Context(), EventQuery{After: "evt_1"}) {
			require.NoError(t, err)
			if seen++; seen == 2 {
				break
			}
		}

		require.Len(t, w.requests(), 1)
	})

	t.Run("OtherErrorsAreNotTakenForAForgottenCursor", func(t *testing.T) {
		t.Parallel()

		w := newWire(t, answer(http.StatusInternalServerError, errorJSON(`"type":"api_error"`)))

		_, err := collect(w.client(t).ListEvents(t.Context(), EventQuery{After: "evt_1"}))

		require.Error(t, err)
		require.Len(t, w.requests(), 1)
	})

	t.Run("EndsAtARepeatedPage", func(t *testing.T) {
		t.Parallel()

		w := newWire(t, answer(http.StatusOK, `{"object":"list","has_more":true,"data":[`+render("evt_2")+`]}`))

		for _, q := range []EventQuery{{}, {After: "evt_1"}} {
			_, err := collect(w.client(t).ListEvents(t.Context(), q))
			require.Error(t, err)
		}
		require.Len(t, w.requests(), 4)
	})
}
