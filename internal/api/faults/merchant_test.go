package faults_test

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

// merchant has what each write needs: a second card, an endpoint with deliveries, a
// payment that can be refunded, and a wallet with metadata.
type merchant struct {
	testfactory.Merchant
	card     wallet.PaymentMethod // not the default one
	endpoint wallet.Endpoint
	secret   string // of the endpoint
	payment  wallet.Payment
	firstJob int64 // jobs with greater ids came after the merchant
}

func newMerchant(t *testing.T, db *pgxpool.Pool) merchant {
	t.Helper()

	m := merchant{Merchant: testfactory.NewMerchant(t, db, testfactory.MerchantOpts{})}
	m.endpoint, m.secret = testfactory.Endpoint(t, db, testfactory.EndpointOpts{OrganizationID: m.Organization.ID})
	m.card = testfactory.PaymentMethod(t, db, testfactory.PaymentMethodOpts{Customer: m.Customer})
	m.payment = testfactory.Payment(t, db, testfactory.PaymentOpts{Merchant: m.Merchant, Status: wallet.PaymentSucceeded})
	_, err := db.Exec(t.Context(), `update wallets set metadata = '{"row": "b", "shelf": "3"}' where id = $1`, m.Wallet.ID)
	require.NoError(t, err)
	require.NoError(t, db.QueryRow(t.Context(), `select coalesce(max(id), 0) from river_job`).Scan(&m.firstJob))
	return m
}

// owned are the tables whose rows belong to an organization, and what selects the rows
// of one. The last use of an API key and the rate limits are no effects of a write.
var owned = map[string]string{
	"accounts":                        `x.organization_id = @organization`,
	"customers":                       `x.organization_id = @organization`,
	"deliveries":                      `x.endpoint_id in (select id from webhook_endpoints where organization_id = @organization)`,
	"delivery_lanes":                  `x.endpoint_id in (select id from webhook_endpoints where organization_id = @organization)`,
	"idempotency_keys":                `x.organization_id = @organization`,
	"invoices":                        `x.organization_id = @organization`,
	"merchant_events":                 `x.organization_id = @organization`,
	"payment_methods":                 `x.organization_id = @organization`,
	"payment_moves":                   `x.payment_id in (select id from payments where organization_id = @organization)`,
	"payments":                        `x.organization_id = @organization`,
	"refunds":                         `x.organization_id = @organization`,
	"transfers":                       `x.debit_account in (select id from accounts where organization_id = @organization)`,
	"wallet_transaction_consumptions": `x.inbound_transaction_id in (select id from wallet_transactions where organization_id = @organization)`,
	"wallet_transactions":             `x.organization_id = @organization`,
	"wallets":                         `x.organization_id = @organization`,
	"webhook_endpoints":               `x.organization_id = @organization`,
}

// state lists all rows that a merchant has, in a form that is the same for two merchants
// of whom the same is stored: without ids, secrets, random names and the database's own
// times.
func (m merchant) state(ctx context.Context, t *testing.T, db *pgxpool.Pool) []string {
	t.Helper()

	var parts []string
	for table, condition := range owned {
		parts = append(parts, fmt.Sprintf(`select '%s ' || (to_jsonb(x) - @random::text[])::text from %s x where %s`, table, table, condition))
	}
	// A secret that was rotated twice is not the one before the last rotation.
	parts = append(parts, `
		select 'endpoint rotated from its first secret ' || (previous_secret = @secret)
		from webhook_endpoints where id = @endpoint and previous_secret is not null`)
	parts = append(parts, `
		select 'job ' || j.kind || ' ' || found.id
		from river_job j, lateral (select m[1]::uuid as id from regexp_matches(j.args::text, '`+uuidForm+`', 'g') m) found
		where j.id > @first_job and (
			exists (select from payments where id = found.id and organization_id = @organization)
			or exists (select from refunds where id = found.id and organization_id = @organization)
			or exists (select from customers where id = found.id and organization_id = @organization))`)
	rows, _ := db.Query(ctx, strings.Join(parts, "\nunion all\n"),
		pgx.StrictNamedArgs{
			"organization": m.Organization.ID, "first_job": m.firstJob, "endpoint": m.endpoint.ID, "secret": m.secret, "random": random,
		})
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	for i, row := range list {
		list[i] = distinct.ReplaceAllString(row, "*")
	}
	slices.Sort(list)
	return list
}

// random are columns that differ between any two merchants, and the copies of rows that
// events hold.
var random = []string{"id", "fingerprint", "organization_id", "request_id", "secret", "snapshot", "types"}

const uuidForm = `([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})`

// distinct finds what else differs: ids, tokens of testfactory, secrets, and times of the
// database's own clock.
var distinct = regexp.MustCompile(strings.Join([]string{
	uuidForm, `(pay|pm|re|wh)_test_[0-9A-Z]{26}`, `(cus|pm|pi|ch|reader|whsec)_[A-Za-z0-9+/=]+`, `20(2[7-9]|3\d)-[0-9T:.+-]+`,
}, "|"))

var (
	uuidText = regexp.MustCompile(uuidForm)
	lavaText = regexp.MustCompile(`"(pay|re|wh)_(test_)?[0-9A-Z]{26}"`)
)

// idsIn lists the ids of rows of the merchant's own that an answer holds.
func idsIn(t *testing.T, body string) []wallet.ID {
	t.Helper()

	var ids []wallet.ID
	for _, text := range lavaText.FindAllString(body, -1) {
		text = strings.Trim(text, `"`)
		prefix, _, _ := strings.Cut(text, "_")
		id, err := wallet.ParseID(wallet.Prefix(prefix), wallet.ModeTest, text)
		require.NoError(t, err)
		ids = append(ids, id)
	}
	for _, text := range uuidText.FindAllString(body, -1) {
		ids = append(ids, uuid.MustParse(text))
	}
	slices.SortFunc(ids, func(a, b wallet.ID) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(ids)
}

// requireStored expects every id of an answer to be that of a row.
func (m merchant) requireStored(ctx context.Context, t *testing.T, db *pgxpool.Pool, ids []wallet.ID) {
	t.Helper()

	var parts []string
	for _, table := range []string{"customers", "invoices", "payment_methods", "payments", "refunds", "wallet_transactions", "wallets", "webhook_endpoints"} {
		parts = append(parts, `select id from `+table+` where organization_id = @organization and id = any (@ids)`)
	}
	rows, _ := db.Query(ctx, strings.Join(parts, " union all "), pgx.StrictNamedArgs{"organization": m.Organization.ID, "ids": ids})
	found, err := pgx.CollectRows(rows, pgx.RowTo[wallet.ID])
	require.NoError(t, err)
	for _, id := range ids {
		// A wallet shows its organization's id nowhere, and a wallet's account has its id.
		require.Contains(t, found, id, "an id of the answer")
	}
}
