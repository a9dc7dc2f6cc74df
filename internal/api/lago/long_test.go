package lago_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/apitest"
)

// longText returns characters that the database cannot compress, so that they do not fit
// into its indexes.
func longText(n int) string {
	random := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	for range n {
		b.WriteByte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"[random.IntN(62)])
	}
	return b.String()
}

func TestNamesThatAreTooLong(t *testing.T) {
	t.Parallel()

	b := apitest.Setup(t)
	long := longText(7000)
	customer, id := "/api/v1/customers/"+b.Customer.ExternalID, b.Wallet.ID.String()
	card := customer + "/payment_methods/" + long
	update, metadata := `{"wallet":{"name":"Renamed"}}`, `{"metadata":{"row":"c"}}`
	for _, r := range []struct{ method, path, body, code string }{
		{http.MethodDelete, "/api/v1/wallets/" + long, "", "wallet_not_found"},
		{http.MethodPut, "/api/v1/wallets/" + long, update, "wallet_not_found"},
		{http.MethodPost, "/api/v1/wallets/" + long + "/metadata", metadata, "wallet_not_found"},
		{http.MethodPatch, "/api/v1/wallets/" + long + "/metadata", metadata, "wallet_not_found"},
		{http.MethodDelete, "/api/v1/wallets/" + long + "/metadata", "", "wallet_not_found"},
		{http.MethodDelete, "/api/v1/wallets/" + long + "/metadata/row", "", "wallet_not_found"},
		{http.MethodDelete, customer + "/wallets/" + long, "", "wallet_not_found"},
		{http.MethodPut, customer + "/wallets/" + long, update, "wallet_not_found"},
		{http.MethodPut, "/api/v1/customers/" + long + "/wallets/default", update, "wallet_not_found"},
		{http.MethodPost, "/api/v1/customers/" + long + "/wallets", update, "customer_not_found"},
		{http.MethodDelete, card, "", "payment_method_not_found"},
		{http.MethodPut, card + "/set_as_default", "", "payment_method_not_found"},
		// A wallet without metadata answers so for every key.
		{http.MethodDelete, "/api/v1/wallets/" + id + "/metadata/" + long, "", "metadata_not_found"},
	} {
		t.Run(r.method+" "+strings.ReplaceAll(r.path, long, "long"), func(t *testing.T) {
			t.Parallel()

			apitest.RequireAnswer(t, b.Do(t, r.method, r.path, r.body), http.StatusNotFound,
				fmt.Sprintf(`{"status":404,"error":"Not Found","code":%q}`, r.code))
		})
	}
}

func TestMetadataKeysThatAreTooLong(t *testing.T) {
	t.Parallel()

	b := apitest.Setup(t)
	path := "/api/v1/wallets/" + b.Wallet.ID.String() + "/metadata"
	before := b.Do(t, http.MethodPost, path, `{"metadata":{"":"empty","row":"c"}}`)
	require.Equal(t, http.StatusOK, before.Code)

	after := b.Do(t, http.MethodDelete, path+"/"+longText(7000), "")

	apitest.RequireAnswer(t, after, http.StatusOK, before.Body.String())
	// The same answer as for a key that is missing, and one that cannot be stored.
	for _, missing := range []string{"column", "%00", "%ff"} {
		apitest.RequireAnswer(t, b.Do(t, http.MethodDelete, path+"/"+missing, ""), http.StatusOK, before.Body.String())
	}
}

func TestStoreCustomerWithTextsThatAreTooLong(t *testing.T) {
	t.Parallel()

	b := apitest.Setup(t)
	long := longText(3000)
	requireInvalid(t, b.DoLago(t, http.MethodPost, "/customers", "customer", apitest.Fields(
		"external_id", `"`+long+`"`, "email", `"`+long+`@reader.example"`, "billing_configuration", `{"provider_customer_id":"`+long+`"}`)),
		`{"email":["value_is_too_long"],"external_id":["value_is_too_long"],"provider_customer_id":["value_is_too_long"]}`)

	// The limit counts characters, and what it allows can be found again.
	longest := strings.Repeat("é", 255)
	one(t, b.DoLago(t, http.MethodPost, "/customers", "customer", apitest.Fields("external_id", `"`+longest+`"`)), "customer")
	one(t, b.Do(t, http.MethodGet, "/api/v1/customers/"+longest, ""), "customer")
	requireInvalid(t, b.DoLago(t, http.MethodPost, "/customers", "customer", apitest.Fields("external_id", `"`+longest+`e"`)),
		`{"external_id":["value_is_too_long"]}`)
}
