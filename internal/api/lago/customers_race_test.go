package lago_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/apitest"
	"github.com/fundrail/fundrail/internal/testdb"
)

// TestConcurrentChangesOfACustomer changes different fields of a customer at the same
// time: a field that is not sent stays as it is.
func TestConcurrentChangesOfACustomer(t *testing.T) {
	t.Parallel()

	b := apitest.Setup(t)
	change := func(field string) {
		rec := b.DoLago(t, http.MethodPost, "/customers", "customer", apitest.Fields("external_id", `"r"`, field, `"x"`))
		if rec.Code != http.StatusOK {
			t.Errorf("%s: %d %s", field, rec.Code, rec.Body)
		}
	}
	check := func(fields ...string) {
		after := one(t, b.Do(t, http.MethodGet, "/api/v1/customers/r", ""), "customer")
		for _, field := range fields {
			require.Equal(t, "x", after[field], field)
		}
	}

	// Both requests create the customer.
	tx, err := b.Pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `lock table customers in share mode`)
	require.NoError(t, err)
	testdb.HoldBack(t, b.Pool, tx, func() { change("city") }, func() { change("phone") })
	check("city", "phone")

	// Both requests change it.
	tx, err = b.Pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `select id from customers where external_id = 'r' for no key update`)
	require.NoError(t, err)
	testdb.HoldBack(t, b.Pool, tx, func() { change("state") }, func() { change("zipcode") })
	check("city", "phone", "state", "zipcode")
}
