package stripesim_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"

	"github.com/fundrail/fundrail/internal/stripesim"
)

// intents creates n unconfirmed intents, one per hour, and returns their ids,
// oldest first.
func (b *bundle) intents(t *testing.T, n int) []string {
	t.Helper()
	ids := make([]string, n)
	for i := range ids {
		pi, err := b.client.PaymentIntents.New(&stripe.PaymentIntentParams{
			Amount: new(int64(1000 + i)), Currency: new("usd"), Customer: &b.customer,
		})
		require.NoError(t, err)
		ids[i] = pi.ID
		b.sim.Advance(time.Hour)
	}
	return ids
}

func (b *bundle) list(t *testing.T, p *stripe.PaymentIntentListParams) []string {
	t.Helper()
	var ids []string
	it := b.client.PaymentIntents.List(p)
	for it.Next() {
		ids = append(ids, it.PaymentIntent().ID)
	}
	require.NoError(t, it.Err())
	return ids
}

func reversed(ids []string) []string {
	out := slices.Clone(ids)
	slices.Reverse(out)
	return out
}

func TestLists(t *testing.T) {
	t.Parallel()

	b := setup(t)
	ids := b.intents(t, 25)
	at := func(i int) int64 { return noon.Add(time.Duration(i) * time.Hour).Unix() }
	single := func(p stripe.ListParams) *stripe.PaymentIntentListParams {
		p.Single = true
		return &stripe.PaymentIntentListParams{ListParams: p}
	}

	t.Run("NewestFirstTenAtATime", func(t *testing.T) {
		t.Parallel()

		a := b.raw(t, http.MethodGet, "/v1/payment_intents", "")
		v := a.json(t)
		require.Equal(t, "list", v["object"])
		require.Equal(t, "/v1/payment_intents", v["url"])
		require.Equal(t, true, v["has_more"])
		require.Equal(t, reversed(ids)[:10], b.list(t, single(stripe.ListParams{})))
	})

	t.Run("EveryPage", func(t *testing.T) {
		t.Parallel()

		require.Equal(t, reversed(ids), b.list(t, &stripe.PaymentIntentListParams{ListParams: stripe.ListParams{Limit: stripe.Int64(4)}}))
	})

	t.Run("EndingBeforeIsAdjacentToTheCursor", func(t *testing.T) {
		t.Parallel()

		p := single(stripe.ListParams{EndingBefore: &ids[3], Limit: stripe.Int64(5)})
		require.Equal(t, ids[4:9], b.list(t, p), "stripe-go turns a page of this kind round")
	})

	t.Run("EndingBeforeWalksForward", func(t *testing.T) {
		t.Parallel()

		p := &stripe.PaymentIntentListParams{ListParams: stripe.ListParams{EndingBefore: &ids[3], Limit: stripe.Int64(5)}}
		require.Equal(t, ids[4:], b.list(t, p))
		p = &stripe.PaymentIntentListParams{ListParams: stripe.ListParams{EndingBefore: &ids[24]}}
		require.Empty(t, b.list(t, p))
	})

	t.Run("Created", func(t *testing.T) {
		t.Parallel()

		p := single(stripe.ListParams{Limit: stripe.Int64(100)})
		p.CreatedRange = &stripe.RangeQueryParams{GreaterThanOrEqual: at(5), LesserThan: at(9)}
		require.Equal(t, reversed(ids[5:9]), b.list(t, p))
		p = single(stripe.ListParams{Limit: stripe.Int64(100)})
		p.CreatedRange = &stripe.RangeQueryParams{GreaterThan: at(5), LesserThanOrEqual: at(9)}
		require.Equal(t, reversed(ids[6:10]), b.list(t, p))
		p = single(stripe.ListParams{})
		p.Created = new(at(7))
		require.Equal(t, ids[7:8], b.list(t, p))
	})

	t.Run("CustomerAndCursor", func(t *testing.T) {
		t.Parallel()

		p := &stripe.PaymentIntentListParams{Customer: &b.customer, ListParams: stripe.ListParams{
			Limit: stripe.Int64(3), StartingAfter: &ids[8],
		}}
		require.Equal(t, reversed(ids[:8]), b.list(t, p))
		require.Empty(t, b.list(t, &stripe.PaymentIntentListParams{Customer: new("cus_other")}))
	})

	t.Run("ExpandsItems", func(t *testing.T) {
		t.Parallel()

		p := single(stripe.ListParams{Limit: stripe.Int64(1)})
		p.AddExpand("data.customer")
		it := b.client.PaymentIntents.List(p)
		require.True(t, it.Next())
		require.Equal(t, "ada@example.com", it.PaymentIntent().Customer.Email)
	})

	t.Run("Refusals", func(t *testing.T) {
		t.Parallel()

		for query, want := range map[string][2]string{
			"limit=0":                          {"parameter_invalid_integer", "limit"},
			"limit=101":                        {"parameter_invalid_integer", "limit"},
			"limit=ten":                        {"parameter_invalid_integer", "limit"},
			"starting_after=pi_none":           {"resource_missing", "starting_after"},
			"ending_before=pi_none":            {"resource_missing", "ending_before"},
			"created[gte]=yesterday":           {"parameter_invalid_integer", "created[gte]"},
			"created[about]=1":                 {"parameter_unknown", "created[about]"},
			"colour=red":                       {"parameter_unknown", "colour"},
			"starting_after=a&ending_before=b": {"", "starting_after"},
		} {
			a := b.raw(t, http.MethodGet, "/v1/payment_intents?"+query, "")
			require.Equal(t, http.StatusBadRequest, a.status, query)
			code, _ := a.problem(t)["code"].(string)
			require.Equal(t, want, [2]string{code, fmt.Sprint(a.problem(t)["param"])}, query)
		}
	})
}

func TestListLag(t *testing.T) {
	t.Parallel()

	b := setup(t)
	ids := b.intents(t, 3)
	b.sim.SetListLag(2*time.Hour + time.Minute)
	require.Equal(t, []string{ids[0]}, b.list(t, &stripe.PaymentIntentListParams{}))
	require.Equal(t, ids[2], b.retrieve(t, ids[2]).ID, "retrieving is never stale")
	b.sim.SetListLag(0)
	require.Len(t, b.list(t, &stripe.PaymentIntentListParams{}), 3)
}

func TestEvents(t *testing.T) {
	t.Parallel()

	list := func(t *testing.T, b *bundle, p *stripe.EventListParams) []stripe.Event {
		t.Helper()
		var out []stripe.Event
		it := b.client.Events.List(p)
		for it.Next() {
			out = append(out, *it.Event())
		}
		require.NoError(t, it.Err())
		return out
	}

	t.Run("ByType", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		b.paid(t, "pm_card_visa")
		require.Len(t, list(t, b, &stripe.EventListParams{Type: new("payment_intent.*")}), 2)
		require.Len(t, list(t, b, &stripe.EventListParams{Type: new("charge.succeeded")}), 1)
		require.Len(t, list(t, b, &stripe.EventListParams{Types: stripe.StringSlice([]string{"charge.*", "customer.created"})}), 2)
		require.Len(t, list(t, b, &stripe.EventListParams{}), 5)
		a := b.raw(t, http.MethodGet, "/v1/events?type=a&types[]=b", "")
		require.Equal(t, http.StatusBadRequest, a.status)
	})

	t.Run("BackfillWalksOldestToNewest", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		for range 5 {
			b.paid(t, "pm_card_visa")
			b.sim.Advance(time.Minute)
		}
		all := b.sim.Events(false)
		seen := list(t, b, &stripe.EventListParams{ListParams: stripe.ListParams{
			EndingBefore: &all[2].ID, Limit: stripe.Int64(4),
		}})
		require.Len(t, seen, len(all)-3)
		for i, ev := range seen {
			require.Equal(t, all[i+3].ID, ev.ID)
		}
	})

	t.Run("KeptFor30Days", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		b.paid(t, "pm_card_visa")
		id := b.sim.Events(false)[0].ID
		b.sim.Advance(30*24*time.Hour + time.Second)
		require.Empty(t, list(t, b, &stripe.EventListParams{}))
		_, err := b.client.Events.Get(id, nil)
		require.Equal(t, http.StatusNotFound, asStripe(t, err).HTTPStatusCode)
		_, err = b.client.Events.Get("evt_none", nil)
		require.EqualValues(t, "resource_missing", asStripe(t, err).Code)
	})

	t.Run("ExpiredCursor", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		it := b.client.Events.List(&stripe.EventListParams{ListParams: stripe.ListParams{EndingBefore: new("evt_old")}})
		require.False(t, it.Next())
		require.Equal(t, "ending_before", asStripe(t, it.Err()).Param)
	})
}

func TestSearch(t *testing.T) {
	t.Parallel()

	b := setup(t)
	ids := make([]string, 12)
	for i := range ids {
		ids[i] = b.paid(t, "pm_card_visa", withMetadata("payment_id", fmt.Sprintf("p'%d", i)), func(p *stripe.PaymentIntentParams) {
			p.Amount = new(int64(1000 + i))
		}).ID
	}
	search := func(query string) []string {
		var out []string
		it := b.client.PaymentIntents.Search(&stripe.PaymentIntentSearchParams{SearchParams: stripe.SearchParams{Query: query, Limit: stripe.Int64(5)}})
		for it.Next() {
			out = append(out, it.PaymentIntent().ID)
		}
		require.NoError(t, it.Err(), query)
		return out
	}

	require.Equal(t, ids[3:4], search(`metadata['payment_id']:'p\'3'`))
	require.Equal(t, reversed(ids), search(`status:'succeeded'`), "over all pages")
	require.Equal(t, reversed(ids[:3]), search(`amount<1003 AND customer:'`+b.customer+`'`))
	require.Equal(t, reversed(ids[9:]), search(`amount>=1009 currency:'usd'`))
	require.ElementsMatch(t, []string{ids[0], ids[5]}, search(`amount:1000 OR amount:1005`))
	require.Equal(t, ids[11:], search(`amount>1009 AND -amount:1010`))
	require.Len(t, search(`metadata["payment_id"]~"p"`), 12)
	require.Empty(t, search(`status:'canceled'`))

	for _, bad := range []string{"", "status", "status:'x' AND a:'1' OR b:'2'", "colour:'red'", "metadata['a':'b'", "amount>ten"} {
		a := b.raw(t, http.MethodGet, "/v1/payment_intents/search?query="+url.QueryEscape(bad), "")
		require.Equal(t, http.StatusBadRequest, a.status, bad)
	}

	b.sim.SetSearchLag(time.Hour)
	require.Empty(t, search(`status:'succeeded'`))
	b.sim.Advance(time.Hour)
	require.Len(t, search(`status:'succeeded'`), 12)
}

func TestModesAreApart(t *testing.T) {
	t.Parallel()

	b := setup(t)
	pi := b.paid(t, "pm_card_visa")
	live := b.sim.ClientFor("sk_live_other")
	_, err := live.PaymentIntents.Get(pi.ID, nil)
	require.Equal(t, http.StatusNotFound, asStripe(t, err).HTTPStatusCode)
	require.Equal(t, "intent", asStripe(t, err).Param)
	_, err = b.sim.ClientFor("sk_test_another").PaymentIntents.Get(pi.ID, nil)
	require.NoError(t, err, "all test keys see the same data")
	_, err = b.sim.ClientFor("rk_test_restricted").PaymentIntents.Get(pi.ID, nil)
	require.NoError(t, err)
	require.Empty(t, b.sim.Intents(true))
	cus, err := b.sim.CreateCustomer(stripesim.NewCustomer{Live: true})
	require.NoError(t, err)
	require.True(t, cus.Livemode)
}
