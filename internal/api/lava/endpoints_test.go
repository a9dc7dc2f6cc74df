package lava_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/apitest"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testdb"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

func decoded(t *testing.T, rec *httptest.ResponseRecorder, status int) map[string]any {
	t.Helper()

	require.Equal(t, status, rec.Code, rec.Body.String())
	var o map[string]any
	require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &o))
	return o
}

const newWebhook = `{"name":"Production Webhook","url":"https://your-app.example.com/webhooks/lava"}`

func TestWebhooks(t *testing.T) {
	t.Parallel()

	t.Run("CreatedAsLavaDoes", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		made := decoded(t, b.Do(t, http.MethodPost, "/v1/webhooks", newWebhook), http.StatusCreated)

		require.Regexp(t, `^wh_test_[0-9A-Z]{26}$`, made["webhook_id"])
		require.Regexp(t, `^whsec_[A-Za-z0-9+/]{43}=$`, made["webhook_secret"])
		require.Equal(t, "Production Webhook", made["name"])
		require.Equal(t, "https://your-app.example.com/webhooks/lava", made["url"])
		require.Equal(t, "2026-03-14T09:26:53Z", made["created_at"])
		require.Equal(t, "lava", made["signature"])
		require.Nil(t, made["events"])
		require.Equal(t, "enabled", made["status"])

		id := made["webhook_id"].(string)
		delete(made, "webhook_secret")
		require.Equal(t, made, decoded(t, b.Do(t, http.MethodGet, "/v1/webhooks/"+id, ""), http.StatusOK), "and the secret is not shown again")
	})

	t.Run("CreatedDisabled", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		made := decoded(t, b.Do(t, http.MethodPost, "/v1/webhooks",
			`{"name":"Later","url":"https://your-app.example.com/later","status":"disabled"}`), http.StatusCreated)

		require.Equal(t, "disabled", made["status"])
	})

	t.Run("ConcurrentChangesKeepBothFields", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		id := decoded(t, b.Do(t, http.MethodPost, "/v1/webhooks", newWebhook), http.StatusCreated)["webhook_id"].(string)
		change := func(body string) {
			if rec := b.Do(t, http.MethodPatch, "/v1/webhooks/"+id, body); rec.Code != http.StatusOK {
				t.Errorf("%s: %d %s", body, rec.Code, rec.Body)
			}
		}
		tx, err := b.Pool.Begin(t.Context())
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), `select from webhook_endpoints for no key update`)
		require.NoError(t, err)

		testdb.HoldBack(t, b.Pool, tx, func() { change(`{"signature":"standard"}`) }, func() { change(`{"events":["payment.succeeded"]}`) })

		after := decoded(t, b.Do(t, http.MethodGet, "/v1/webhooks/"+id, ""), http.StatusOK)
		require.Equal(t, "standard", after["signature"])
		require.Equal(t, []any{"payment.succeeded"}, after["events"])
	})

	t.Run("RepeatedWithItsKeyItIsTheSame", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		first := decoded(t, b.Do(t, http.MethodPost, "/v1/webhooks", newWebhook, "Idempotency-Key", "k"), http.StatusCreated)
		again := b.Do(t, http.MethodPost, "/v1/webhooks", newWebhook, "Idempotency-Key", "k")

		require.Equal(t, first, decoded(t, again, http.StatusCreated))
		require.Equal(t, "true", again.Header().Get("Idempotent-Replayed"))
	})

	t.Run("Pages", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		var ids []string
		for range 3 {
			made := decoded(t, b.Do(t, http.MethodPost, "/v1/webhooks", newWebhook), http.StatusCreated)
			ids = append(ids, made["webhook_id"].(string))
		}
		testfactory.Endpoint(t, b.Pool, testfactory.EndpointOpts{})                                                         // another organization's
		testfactory.Endpoint(t, b.Pool, testfactory.EndpointOpts{OrganizationID: b.Organization.ID, Mode: wallet.ModeLive}) // the other mode's

		first := decoded(t, b.Do(t, http.MethodGet, "/v1/webhooks?limit=2", ""), http.StatusOK)
		require.Equal(t, true, first["has_more"])
		require.Equal(t, ids[1], first["next_cursor"])
		require.Len(t, first["data"], 2)
		second := decoded(t, b.Do(t, http.MethodGet, "/v1/webhooks?limit=2&cursor="+ids[1], ""), http.StatusOK)
		require.Equal(t, false, second["has_more"])
		require.Nil(t, second["next_cursor"])
		require.Equal(t, ids[0], second["data"].([]any)[0].(map[string]any)["webhook_id"])
	})

	t.Run("NoMoreThanTheLimit", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t, func(b *apitest.Bundle) { b.Lava.WebhookLimit = 1 })
		decoded(t, b.Do(t, http.MethodPost, "/v1/webhooks", newWebhook), http.StatusCreated)
		apitest.RequireAnswer(t, b.Do(t, http.MethodPost, "/v1/webhooks", newWebhook), http.StatusBadRequest,
			`{"error":{"message":"No more than 1 webhooks are allowed.","code":"webhook_limit_reached","status":400}}`)
	})

	t.Run("Changed", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		id := decoded(t, b.Do(t, http.MethodPost, "/v1/webhooks", newWebhook), http.StatusCreated)["webhook_id"].(string)

		o := decoded(t, b.Do(t, http.MethodPatch, "/v1/webhooks/"+id,
			`{"name":"Other","url":"https://other.example/","signature":"lago","events":["wallet.updated"],"status":"disabled"}`), http.StatusOK)

		require.Equal(t, "Other", o["name"])
		require.Equal(t, "https://other.example/", o["url"])
		require.Equal(t, "lago", o["signature"])
		require.Equal(t, []any{"wallet.updated"}, o["events"])
		require.Equal(t, "disabled", o["status"])
		o = decoded(t, b.Do(t, http.MethodPatch, "/v1/webhooks/"+id, `{"events":null,"status":"enabled"}`), http.StatusOK)
		require.Nil(t, o["events"])
		require.Equal(t, "enabled", o["status"])
		require.Equal(t, "Other", o["name"])
	})

	t.Run("RotatedSecret", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		made := decoded(t, b.Do(t, http.MethodPost, "/v1/webhooks", newWebhook), http.StatusCreated)
		path := "/v1/webhooks/" + made["webhook_id"].(string) + "/rotate_secret"

		rotated := decoded(t, b.Do(t, http.MethodPost, path, ""), http.StatusOK)

		require.NotEqual(t, made["webhook_secret"], rotated["webhook_secret"])
		require.NotEmpty(t, rotated["webhook_secret"])
		require.Equal(t, http.StatusBadRequest, b.Do(t, http.MethodPost, path, `{"overlap_seconds":-1}`).Code)
	})

	t.Run("Deleted", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		id := decoded(t, b.Do(t, http.MethodPost, "/v1/webhooks", newWebhook), http.StatusCreated)["webhook_id"].(string)

		apitest.RequireAnswer(t, b.Do(t, http.MethodDelete, "/v1/webhooks/"+id, ""), http.StatusOK, `{"id":"`+id+`","deleted":true}`)

		for _, method := range []string{http.MethodGet, http.MethodDelete} {
			apitest.RequireAnswer(t, b.Do(t, method, "/v1/webhooks/"+id, ""), http.StatusNotFound,
				`{"error":{"message":"Webhook not found.","code":"webhook_not_found","status":404}}`)
		}
	})

	t.Run("AnothersIsNotFound", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		other, _ := testfactory.Endpoint(t, b.Pool, testfactory.EndpointOpts{})
		path := "/v1/webhooks/" + wallet.Spell(wallet.PrefixWebhook, wallet.ModeTest, other.ID)

		for method, paths := range map[string][]string{
			http.MethodDelete: {path}, http.MethodGet: {path, path + "/deliveries"}, http.MethodPatch: {path},
			http.MethodPost: {path + "/rotate_secret", path + "/redeliver"},
		} {
			for _, p := range paths {
				body := ""
				if method == http.MethodPatch || method == http.MethodPost {
					body = `{"from":"2026-01-01T00:00:00Z","to":"2027-01-01T00:00:00Z"}`
				}
				require.Equal(t, http.StatusNotFound, b.Do(t, method, p, body).Code, "%s %s", method, p)
			}
		}
	})

	t.Run("DeliveriesAndRedelivery", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		e, _ := testfactory.Endpoint(t, b.Pool, testfactory.EndpointOpts{
			Events: []string{"payment.succeeded"}, OrganizationID: b.Organization.ID,
		})
		testfactory.Payment(t, b.Pool, testfactory.PaymentOpts{Merchant: b.Merchant, Status: wallet.PaymentSucceeded})
		path := "/v1/webhooks/" + wallet.Spell(wallet.PrefixWebhook, wallet.ModeTest, e.ID)
		list := decoded(t, b.Do(t, http.MethodGet, path+"/deliveries", ""), http.StatusOK)
		require.Len(t, list["data"], 1)
		d := list["data"].([]any)[0].(map[string]any)
		require.Equal(t, "payment.succeeded", d["event"])
		require.Equal(t, "pending", d["status"])
		lanes, err := claim(t, b)
		require.NoError(t, err)
		_, err = postgres.RecordAttempt(t.Context(), b.Pool, lanes[0], postgres.DeliveryAttempt{
			DeliveryID: deliveryID(t, d), AttemptedAt: testfactory.Now, ResponseStatus: 200, Duration: time.Second,
		}, time.Minute)
		require.NoError(t, err)
		require.Len(t, decoded(t, b.Do(t, http.MethodGet, path+"/deliveries?status=succeeded", ""), http.StatusOK)["data"], 1)
		require.Empty(t, decoded(t, b.Do(t, http.MethodGet, path+"/deliveries?status=pending", ""), http.StatusOK)["data"])

		window := `"from":"2026-03-14T00:00:00Z","to":"2026-03-15T00:00:00Z"`
		for body, want := range map[string]string{
			`{` + window + `,"failed_only":true}`:                         `{"deliveries":0}`,
			`{"from":"2026-03-15T00:00:00Z","to":"2026-03-16T00:00:00Z"}`: `{"deliveries":0}`,
			`{"delivery_id":"` + d["delivery_id"].(string) + `"}`:         `{"deliveries":1}`,
		} {
			rec := b.Do(t, http.MethodPost, path+"/redeliver", body)
			require.Equal(t, http.StatusAccepted, rec.Code)
			require.Equal(t, want, rec.Body.String(), body)
		}
		require.Len(t, decoded(t, b.Do(t, http.MethodGet, path+"/deliveries?status=pending", ""), http.StatusOK)["data"], 1)
	})

	for name, tt := range map[string]struct{ body, issue string }{
		"NoName":          {`{"url":"https://a.example/"}`, "Missing required field: name"},
		"NoURL":           {`{"name":"a"}`, "Missing required field: url"},
		"EmptyName":       {`{"name":" ","url":"https://a.example/"}`, "Must not be empty"},
		"LongName":        {`{"name":"` + strings.Repeat("a", 256) + `","url":"https://a.example/"}`, "Must be at most 255 characters"},
		"PrivateURL":      {`{"name":"a","url":"http://10.0.0.1/"}`, "Must not be in a private network"},
		"NotAURL":         {`{"name":"a","url":"hook"}`, "Must be a URL that begins with https://"},
		"Signature":       {`{"name":"a","url":"https://a.example/","signature":"jwt"}`, "Must be one of lago, lava, standard"},
		"Events":          {`{"name":"a","url":"https://a.example/","events":[]}`, "Expected null, or names of events"},
		"UnknownEvent":    {`{"name":"a","url":"https://a.example/","events":["payment.lost"]}`, `There is no event \"payment.lost\" with signature lava`},
		"EventOfAnother":  {`{"name":"a","url":"https://a.example/","events":["wallet.balance_updated"]}`, `with signature lava`},
		"NumberForString": {`{"name":1,"url":"https://a.example/"}`, "Expected string, received number"},
	} {
		t.Run("Refuses"+name, func(t *testing.T) {
			t.Parallel()

			rec := apitest.Setup(t).Do(t, http.MethodPost, "/v1/webhooks", tt.body)

			require.Equal(t, http.StatusBadRequest, rec.Code)
			require.Contains(t, rec.Body.String(), "body_schema_validation_failed")
			require.Contains(t, rec.Body.String(), tt.issue)
		})
	}
}

func claim(t *testing.T, b *apitest.Bundle) ([]postgres.Lane, error) {
	t.Helper()

	tx, err := b.Pool.Begin(t.Context())
	require.NoError(t, err)
	lanes, err := postgres.ClaimLanes(t.Context(), tx, testfactory.Now, time.Minute, 8)
	require.NoError(t, err)
	require.NotEmpty(t, lanes)
	return lanes, tx.Commit(t.Context())
}

func deliveryID(t *testing.T, d map[string]any) wallet.ID {
	t.Helper()

	id, err := wallet.ParseID(wallet.PrefixDelivery, wallet.ModeTest, d["delivery_id"].(string))
	require.NoError(t, err)
	return id
}
