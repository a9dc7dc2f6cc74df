package postgres_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testdb"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

// TestRowsAreReadByName checks that no code reads rows into structs by position: fields
// of one type could then change places unnoticed.
func TestRowsAreReadByName(t *testing.T) {
	t.Parallel()

	byPosition := map[string]bool{"RowToStructByPos": true, "RowToAddrOfStructByPos": true}
	files := 0
	for _, dir := range []string{".", "../torture", "../../jobs"} {
		require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") {
				return err
			}
			files++
			fset := token.NewFileSet()
			file, err := parser.ParseFile(fset, path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok && byPosition[s.Sel.Name] {
					t.Errorf("%s reads a row by position", fset.Position(s.Pos()))
				}
				return true
			})
			return nil
		}))
	}
	require.Greater(t, files, 80)
}

// TestReaders reads rows whose columns have distinct values and compares every field.
func TestReaders(t *testing.T) {
	t.Parallel()

	ctx, pool := t.Context(), testdb.New(t)
	testfactory.DistinctRows(t, pool)
	id, at := testfactory.DistinctID, testfactory.DistinctTime
	atp := func(n int) *time.Time { return new(at(n)) }

	for _, test := range []struct {
		name string
		want any
		// read returns what is compared with want.
		read func() (any, error)
		// except names fields of want that cannot have a distinct value.
		except []string
	}{
		{
			name: "Organization",
			want: postgres.Organization{ID: id(1), Name: "organization name", PrimaryEmail: "organization@mail.example", CreatedAt: at(1)},
			read: func() (any, error) { return postgres.GetOrganization(ctx, pool, id(1)) },
		},
		{
			name: "APIKey",
			want: postgres.APIKey{
				ID: id(2), OrganizationID: id(1), Mode: wallet.ModeLive, Name: "key name", Hint: "hint",
				Scopes: []wallet.Scope{wallet.ScopeFund, wallet.ScopeRead}, CreatedAt: at(2), ExpiresAt: atp(3), RevokedAt: atp(4), LastUsedAt: atp(5),
			},
			read: func() (any, error) { return first(postgres.ListAPIKeys(ctx, pool, id(1))) },
		},
		{
			name: "Customer",
			want: postgres.Customer{
				ID: id(3), OrganizationID: id(1), Mode: wallet.ModeLive, ExternalID: "external id", Email: "customer@mail.example",
				Name: "customer name", Firstname: "first name", Lastname: "last name", Currency: "CHF", Timezone: "Europe/Zurich",
				StripeCustomerID: "cus_1", Profile: json.RawMessage(`{"a": 1}`), CreatedAt: at(6), UpdatedAt: at(7),
			},
			read: func() (any, error) { return postgres.GetCustomer(ctx, pool, id(3)) },
		},
		{
			name: "PaymentMethod",
			want: wallet.PaymentMethod{
				ID: id(4), CustomerID: id(3), StripePaymentMethodID: "pm_1", Brand: "visa", Last4: "4242", ExpiryMonth: 11, ExpiryYear: 2031,
				IsDefault: true, ErrorCode: "error code", ErrorMessage: "error message", ErrorAt: atp(8), CreatedAt: at(9),
			},
			read: func() (any, error) { return postgres.GetPaymentMethod(ctx, pool, id(3), id(4)) },
		},
		{
			name: "Wallet",
			want: wallet.Wallet{
				ID: id(6), OrganizationID: id(1), Mode: wallet.ModeLive, CustomerID: id(3), ExternalCustomerID: "external id",
				Code: "wallet_code", Name: "wallet name", Currency: "EUR", RateAmount: decimal.RequireFromString("1.25"), IsPrimary: true,
				Status: wallet.WalletTerminated, Priority: 7, BillingEntityCode: "billing entity", PurchaseOrderNumber: "wallet order",
				Balance: 1001, CreditsBalance: decimal.RequireFromString("1002.5"), ConsumedCredits: decimal.RequireFromString("1005.5"),
				InvoiceRequiresSuccessfulPayment: true, PaidTopUpMinAmount: new(int64(1003)), PaidTopUpMaxAmount: new(int64(1004)), Traceable: true,
				PaymentMethod: wallet.MethodChoice{Type: wallet.MethodProvider, ID: new(id(4))},
				Sections:      wallet.AppliedSections{List: []wallet.AppliedSection{{Code: "d"}}},
				AppliesTo:     json.RawMessage(`{"b": 1}`), RecurringTransactionRules: json.RawMessage(`[{"c": 1}]`), Metadata: json.RawMessage(`{"e": "1"}`),
				CreatedAt: at(12), ExpirationAt: atp(14), LastBalanceSyncAt: atp(15), LastConsumedCreditAt: atp(16), TerminatedAt: atp(17),
			},
			read: func() (any, error) { return postgres.GetWallet(ctx, pool, id(6)) },
		},
		{
			name: "Invoice",
			want: wallet.Invoice{
				ID: id(8), OrganizationID: id(1), Mode: wallet.ModeLive, CustomerID: id(3), WalletID: id(6), WalletTransactionID: id(7),
				Status: wallet.InvoiceFinalized, PaymentStatus: wallet.InvoicePaymentSucceeded, Currency: "EUR", Amount: 1021, PaidAmount: 1022,
				CreditAmount: decimal.RequireFromString("1023.5"), RateAmount: decimal.RequireFromString("1.75"), Description: "invoice description",
				PurchaseOrderNumber: "invoice order", Sections: []wallet.AppliedSection{{Code: "f"}}, IssuingDate: "2026-02-03", SequentialID: 1024,
				Number: "INV-1", CreatedAt: at(21), UpdatedAt: at(22), FinalizedAt: atp(23),
			},
			read: func() (any, error) { return postgres.GetInvoice(ctx, pool, id(1), wallet.ModeLive, id(8)) },
		},
		{
			name: "Event",
			want: postgres.Event{
				ID: "evt_1", Mode: wallet.ModeLive, Type: "event.type", APIVersion: "api version", ObjectID: "object id",
				StripePaymentIntentID: "pi_4", PaymentID: id(29), Status: postgres.EventHandled, Source: "sweep", Body: []byte("body"), Deliveries: 3,
				CreatedAt: at(43), ReceivedAt: at(44), HandledAt: atp(46), Note: "note",
			},
			read: func() (any, error) { return postgres.GetEvent(ctx, pool, "evt_1") },
		},
		{
			name: "EventWithoutBody",
			want: postgres.Event{
				ID: "evt_1", Mode: wallet.ModeLive, Type: "event.type", APIVersion: "api version", ObjectID: "object id",
				StripePaymentIntentID: "pi_4", PaymentID: id(29), Status: postgres.EventHandled, Source: "sweep", Deliveries: 3,
				CreatedAt: at(43), ReceivedAt: at(44), HandledAt: atp(46), Note: "note",
			},
			read: func() (any, error) {
				return first(postgres.ListEvents(ctx, pool, postgres.EventFilter{Mode: wallet.ModeLive, Status: postgres.EventHandled, Limit: 1}))
			},
		},
		{
			name: "Endpoint",
			want: endpoint(id, at),
			read: func() (any, error) {
				return postgres.GetEndpoint(ctx, pool, postgres.EndpointRef{OrganizationID: id(1), Mode: wallet.ModeLive, ID: id(10)})
			},
		},
		{
			name: "DeliveryLine",
			want: postgres.DeliveryLine{
				ID: id(12), EndpointID: id(10), EventID: id(11), Type: "merchant.event", ObjectID: id(29), Sequence: 6, Status: wallet.DeliveryPending,
				Attempts: 7, CreatedAt: at(56), ResponseStatus: 503, Error: "attempt error",
			},
			read: func() (any, error) { return first(postgres.ListDeliveries(ctx, pool, id(10), "", wallet.ID{}, 1)) },
		},
		{
			name: "DeliveryAttempt",
			want: postgres.DeliveryAttempt{
				DeliveryID: id(12), AttemptedAt: at(58), Duration: 59 * time.Millisecond, ResponseStatus: 503, Error: "attempt error",
			},
			read:   func() (any, error) { return first(postgres.ListAttempts(ctx, pool, id(12))) },
			except: []string{"RetryAfter", "HoldFor"},
		},
		{
			name: "Delivery",
			want: postgres.Delivery{
				ID: id(12), Attempts: 7, Endpoint: endpoint(id, at), EndpointFailures: 4, Secrets: []string{"secret", "previous secret"},
				Event: wallet.MerchantEvent{
					ID: id(11), OrganizationID: id(1), Mode: wallet.ModeLive, Type: "merchant.event", ObjectID: id(29), Sequence: 5,
					CreatedAt: at(55), Traceparent: "traceparent", MoneyBack: 1071,
				},
			},
			read: func() (any, error) {
				d, err := postgres.NextDelivery(ctx, pool, postgres.Lane{EndpointID: id(10), ObjectID: id(29), Claim: id(17)}, at(49))
				if d == nil {
					return nil, err
				}
				return *d, err
			},
		},
		{
			name: "User",
			want: postgres.User{
				ID: id(13), Email: "user@mail.example", Role: postgres.RoleSupport, PasswordHash: "password hash", PasswordChangedAt: at(60),
				CreatedAt: at(61), DisabledAt: atp(62), LastLoginAt: atp(63),
			},
			read: func() (any, error) { return postgres.GetUser(ctx, pool, id(13)) },
		},
		{
			name: "Transfer",
			want: postgres.Transfer{
				ID: 1, DebitKind: "stripe_clearing", CreditKind: "wallet", Amount: 1051, Currency: "EUR", Kind: "settlement",
				PaymentID: new(id(29)), CreatedAt: at(39),
			},
			read: func() (any, error) { return first(postgres.ListTransfers(ctx, pool, id(1), wallet.ModeLive, 0)) },
		},
		{
			name: "Move",
			want: postgres.Move{
				From: wallet.PaymentCreated, To: wallet.PaymentSucceeded, Cause: wallet.Cause{Kind: wallet.CauseJob, ID: "41"}, MovedAt: at(38),
			},
			read: func() (any, error) { return first(postgres.ListMoves(ctx, pool, id(29))) },
		},
		{
			name: "Reconciliation",
			want: postgres.Reconciliation{
				Mode: wallet.ModeLive, Source: "operator", Since: at(70), Until: at(71), Payments: 1, Refunds: 2, Disputes: 3,
				Drift:     []postgres.Drift{{Kind: postgres.DriftAmountDiffers, StripeID: "pi_6", Detail: "detail"}},
				StartedAt: at(72), FinishedAt: at(73),
			},
			read: func() (any, error) {
				r, _, err := postgres.LatestReconciliation(ctx, pool, wallet.ModeLive, "")
				return r, err
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()

			testfactory.RequireDistinct(t, test.want, test.except...)
			got, err := test.read()
			require.NoError(t, err)
			require.Empty(t, cmp.Diff(test.want, got))
		})
	}
}

func endpoint(id func(int) wallet.ID, at func(int) time.Time) wallet.Endpoint {
	return wallet.Endpoint{
		ID: id(10), OrganizationID: id(1), Mode: wallet.ModeLive, Name: "endpoint name", URL: "https://endpoint.example",
		Signature: wallet.SignatureStandard, Events: []string{"event"}, Status: wallet.EndpointHeld, FailingSince: new(at(51)),
		LastError: "endpoint error", CreatedAt: at(53), UpdatedAt: at(54),
	}
}

// first returns the first row of a list, nil if it has none.
func first[T any](list []T, err error) (any, error) {
	if len(list) == 0 {
		return nil, err
	}
	return list[0], err
}
