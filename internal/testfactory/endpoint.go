package testfactory

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// EndpointOpts are the columns of a webhook endpoint that a test may choose.
type EndpointOpts struct {
	Events         []string
	Mode           wallet.Mode
	OrganizationID wallet.ID
	Secret         string
	Signature      wallet.SignatureKind
	URL            string
}

// Endpoint stores a webhook endpoint and returns it with its secret. It belongs to a new
// organization unless the options name one.
func Endpoint(tb testing.TB, db DB, opts EndpointOpts) (wallet.Endpoint, string) {
	tb.Helper()

	e := wallet.Endpoint{
		ID:             wallet.NewID(),
		OrganizationID: opts.OrganizationID,
		Mode:           or(opts.Mode, wallet.ModeTest),
		Name:           "Production Webhook",
		URL:            or(opts.URL, "https://merchant.example/webhooks"),
		Signature:      or(opts.Signature, wallet.SignatureStandard),
		Events:         opts.Events,
		Status:         wallet.EndpointEnabled,
		CreatedAt:      Now,
		UpdatedAt:      Now,
	}
	if e.OrganizationID == (wallet.ID{}) {
		e.OrganizationID = Organization(tb, db, OrganizationOpts{}).ID
	}
	secret := or(opts.Secret, wallet.NewWebhookSecret())
	types, unknown := e.Signature.Types(e.Events)
	require.Empty(tb, unknown)
	require.NoError(tb, pgx.BeginFunc(tb.Context(), db, func(tx pgx.Tx) error {
		return postgres.InsertEndpoint(tb.Context(), tx, e, types, secret, 1000)
	}))
	return e, secret
}
