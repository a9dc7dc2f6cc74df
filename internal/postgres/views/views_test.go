package views_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/postgres/views"
	"github.com/fundrail/fundrail/internal/testdb"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

const live = wallet.ModeLive

// The rows of testfactory.DistinctRows, as the views return them.
var (
	id = testfactory.DistinctID
	at = testfactory.DistinctTime

	openPayment = views.PaymentRow{
		ID: id(9), Status: wallet.PaymentRequiresAction, Amount: 1031, Currency: "EUR", OrganizationName: "organization name",
		CustomerID: id(3), ExternalID: "external id", Email: "customer@mail.example", WalletID: id(6), Brand: "visa", Last4: "4242",
		FailureCode: "decline code", IntentID: "pi_1", CreatedAt: at(26), UpdatedAt: at(27), ActionDeadlineAt: new(at(24)),
		NextCheckAt: new(at(25)),
	}
	settledPayment = views.PaymentRow{
		ID: id(29), Status: wallet.PaymentSucceeded, Amount: 1041, Currency: "EUR", OrganizationName: "organization name",
		CustomerID: id(3), ExternalID: "external id", Email: "customer@mail.example", WalletID: id(6), Brand: "visa", Last4: "4242",
		FailureCode: "failure code 2", IntentID: "pi_2", CreatedAt: at(32), UpdatedAt: at(33), ActionDeadlineAt: new(at(30)),
	}
	handledEvent = views.EventRow{
		ID: "evt_1", Type: "event.type", Status: postgres.EventHandled, Source: "sweep", Deliveries: 3, ObjectID: "object id",
		IntentID: "pi_4", PaymentID: new(id(29)), CreatedAt: at(43), ReceivedAt: at(44), DueAt: at(45), HandledAt: new(at(46)),
		HandledBy: "handled by", Note: "note",
	}
	pendingEvent = views.EventRow{
		ID: "evt_2", Type: "payment_intent.succeeded", Status: postgres.EventPending, Source: "webhook", Deliveries: 1,
		ObjectID: "object id 2", IntentID: "pi_5", PaymentID: new(id(9)), CreatedAt: at(47), ReceivedAt: at(48), DueAt: at(49),
	}
	discardedJob = views.JobRow{
		ID: 41, State: "discarded", Kind: "job_kind", Queue: "job_queue", Priority: 2, Attempt: 5, MaxAttempts: 6,
		Args: json.RawMessage(`{"event_id": "evt_1"}`), Metadata: json.RawMessage(`{"k": 1}`), Tags: []string{"tag"},
		AttemptedBy: []string{"worker"},
		Errors: []json.RawMessage{
			json.RawMessage(`{"at": "2026-01-04T03:00:00Z", "error": "job error", "trace": "job trace", "attempt": 5}`),
		},
		CreatedAt: at(74), ScheduledAt: at(76), AttemptedAt: new(at(77)), FinalizedAt: new(at(78)),
		PaymentIDs: []wallet.ID{id(29)}, EventID: "evt_1", Mode: live,
	}
	customer = views.CustomerRow{
		ID: id(3), OrganizationID: id(1), OrganizationName: "organization name", ExternalID: "external id",
		Email: "customer@mail.example", Name: "customer name", StripeCustomerID: "cus_1", Wallets: 1, CreatedAt: at(6),
	}
	walletRow = views.WalletRow{
		ID: id(6), OrganizationID: id(1), OrganizationName: "organization name", CustomerID: id(3), ExternalID: "external id",
		Email: "customer@mail.example", Currency: "EUR", RateAmount: decimal.RequireFromString("1.25"), IsPrimary: true, Balance: 1001,
		CreditsBalance: decimal.RequireFromString("1002.5"), CreatedAt: at(12), UpdatedAt: at(13),
	}
	action = postgres.OperatorAction{
		ID: 1, Mode: live, UserID: id(13), Actor: "actor@mail.example", Role: postgres.RoleOperator, Action: "action",
		SubjectKind: "payment", SubjectID: id(29).String(), Reason: "reason", Before: json.RawMessage(`{"g": 1}`),
		After: json.RawMessage(`{"h": 1}`), RequestID: "request id", At: at(64),
	}
	discrepancy = views.DiscrepancyRow{
		ID: 1, PaymentID: id(29), Kind: "amount_mismatch", IntentID: "pi_3", ExpectedAmount: 1061, ExpectedCurrency: "EUR",
		ReceivedAmount: 1062, ReceivedCurrency: "GBP", CauseKind: wallet.CauseEvent, CauseID: "evt_3", FoundAt: at(40),
	}
)

// TestReaders reads rows whose columns have distinct values and compares every field.
func TestReaders(t *testing.T) {
	t.Parallel()

	ctx, pool := t.Context(), testdb.New(t)
	testfactory.DistinctRows(t, pool)
	owner := views.OwnerFilter{Mode: live, Limit: 5}

	for _, test := range []struct {
		name   string
		read   func() (any, error)
		want   any
		except []string // fields of want that have the value of another by their nature
	}{
		{"OpenPayment", page(ctx, pool, views.ListPaymentRows, views.PaymentFilter{Mode: live, Limit: 5, Statuses: []wallet.PaymentStatus{wallet.PaymentRequiresAction}}), openPayment, nil},
		{"SettledPayment", page(ctx, pool, views.ListPaymentRows, views.PaymentFilter{Mode: live, Limit: 5, WalletID: id(6)}), settledPayment, nil},
		{"ReturnedPayment", page(ctx, pool, views.ListPaymentRows, views.PaymentFilter{Mode: live, Limit: 5, Challenge: "returned"}), settledPayment, nil},
		{"HandledEvent", page(ctx, pool, views.ListEventRows, views.EventRowFilter{Mode: live, Limit: 5, Status: postgres.EventHandled}), handledEvent, nil},
		{"PendingEvent", page(ctx, pool, views.ListEventRows, views.EventRowFilter{Mode: live, Limit: 5, Status: postgres.EventPending}), pendingEvent, []string{"HandledBy", "Note"}},
		{"EventType", func() (any, error) { return first(views.ListEventTypes(ctx, pool, live)) }, views.EventTypeRow{Type: "event.type", LastAt: at(44), N: 1}, nil},
		{"Job", page(ctx, pool, views.ListJobs, views.JobFilter{Mode: live, Limit: 5}), discardedJob, nil},
		{"JobByID", func() (any, error) { return views.GetJob(ctx, pool, live, 41) }, discardedJob, nil},
		{"Customer", page(ctx, pool, views.ListCustomerRows, owner), customer, nil},
		{"CustomerByID", func() (any, error) { return views.GetCustomerRow(ctx, pool, live, id(3)) }, customer, nil},
		{"Wallet", page(ctx, pool, views.ListWalletRows, owner), walletRow, nil},
		{"WalletByID", func() (any, error) { return views.GetWalletRow(ctx, pool, live, id(6)) }, walletRow, nil},
		{"Transaction", func() (any, error) { return firstOf(views.ListTransactionRows(ctx, pool, id(6), false, "", 5)) }, views.TransactionRow{
			ID: id(7), Type: "inbound", Kind: "purchased", Status: wallet.TransactionSettled, Amount: 1011,
			CreditAmount: decimal.RequireFromString("1012.5"), Remaining: new(int64(1010)), PaymentID: new(id(29)), CreatedAt: at(18),
			SettledAt: new(at(19)), FailedAt: new(at(20)),
		}, nil},
		{"Ledger", func() (any, error) { return firstOf(views.ListLedger(ctx, pool, id(6), "", 5)) }, views.LedgerRow{
			ID: 1, Kind: "settlement", Amount: 1051, Balance: 1001, CounterKind: "stripe_clearing", Currency: "EUR", PaymentID: new(id(29)),
			TransactionID: new(id(7)), CreatedAt: at(39),
		}, nil},
		{"Invoice", page(ctx, pool, views.ListInvoiceRows, owner), views.InvoiceRow{
			ID: id(8), Number: "INV-1", Status: "finalized", PaymentStatus: "succeeded", Amount: 1021, PaidAmount: 1022, Currency: "EUR",
			CreditAmount: decimal.RequireFromString("1023.5"), OrganizationName: "organization name", CustomerID: id(3), ExternalID: "external id",
			Email: "customer@mail.example", WalletID: id(6), PaymentID: new(id(29)), CreatedAt: at(21), FinalizedAt: new(at(23)),
		}, nil},
		{"Action", func() (any, error) {
			return first(views.ListOperatorActions(ctx, pool, views.OperatorActionFilter{Mode: live, Limit: 5}))
		}, action, nil},
		{"ActionByID", func() (any, error) { return views.GetOperatorAction(ctx, pool, live, 1) }, action, nil},
		{"PeriodicRun", func() (any, error) { return first(views.ListPeriodicRuns(ctx, pool, "job_queue")) }, views.PeriodicRun{
			Kind: "job_kind", JobID: 41, State: "discarded", At: at(77), Took: time.Hour, Runs: 1,
		}, nil},
		{"InFlight", func() (any, error) { return first(views.ListInFlight(ctx, pool, live)) }, views.InFlight{
			Status: wallet.PaymentRequiresAction, Currency: "EUR", N: 1, Amount: 1031, OldestAt: at(26),
		}, nil},
		{"SearchPayments", func() (any, error) { return first(views.SearchPayments(ctx, pool, live, wallet.ID{}, "pi_1")) }, openPayment, nil},
		{"SearchCustomers", func() (any, error) { return first(views.SearchCustomers(ctx, pool, live, wallet.ID{}, "cus_1", "")) }, customer, nil},
		{"SearchEvents", func() (any, error) { return first(views.SearchEvents(ctx, pool, live, "evt_1")) }, handledEvent, nil},
		{"Locate", func() (any, error) { return first(views.Locate(ctx, pool, id(6), "")) }, views.Location{Kind: "wallet", Mode: live}, nil},
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

func TestGetPaymentStory(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	testfactory.DistinctRows(t, pool)

	want := views.PaymentStory{
		PaymentDetails: views.PaymentDetails{
			PaymentRow: settledPayment, SucceededAt: new(at(36)), FailedAt: new(at(35)), CanceledAt: new(at(34)),
			StripePaymentMethodID: "pm_1", ExpiryMonth: 11, ExpiryYear: 2031, ReturnedAt: new(at(37)),
		},
		Requests: []views.RequestRow{{Operation: "operation", Key: "idempotency key", WaitUntil: at(41), CreatedAt: at(42)}},
		Moves: []views.MoveRow{{
			From: wallet.PaymentCreated, To: wallet.PaymentSucceeded, CauseKind: wallet.CauseJob, CauseID: "41", RequestID: "req_stripe", At: at(38),
		}},
		Jobs:   []views.JobRow{discardedJob},
		Events: []views.EventRow{handledEvent},
		Transfers: []views.TransferRow{{
			ID: 1, Kind: "settlement", Amount: 1051, Currency: "EUR", DebitKind: "stripe_clearing", CreditKind: "wallet", CreatedAt: at(39),
		}},
		Discrepancies: []views.DiscrepancyRow{discrepancy},
		Actions:       []postgres.OperatorAction{action},
		Deliveries: []views.StoryDelivery{{
			ID: id(12), Type: "merchant.event", Endpoint: "endpoint name", Status: wallet.DeliveryPending, Attempts: 7, CreatedAt: at(56),
			ResponseStatus: 503, Error: "attempt error",
		}},
	}
	got, err := views.GetPaymentStory(t.Context(), pool, live, id(29))
	require.NoError(t, err)
	require.Equal(t, id(29), got.Payment.ID)
	// Package postgres reads and tests these three.
	ignored := cmpopts.IgnoreFields(views.PaymentStory{}, "Payment", "Refunds", "Disputes")
	require.Empty(t, cmp.Diff(want, got, ignored))
	testfactory.RequireDistinct(t, want.PaymentDetails)
	for _, row := range []any{want.Requests[0], want.Moves[0], want.Transfers[0], want.Discrepancies[0], want.Deliveries[0]} {
		testfactory.RequireDistinct(t, row)
	}
}

func TestGetAttention(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	testfactory.DistinctRows(t, pool)

	now := at(100)
	ages := views.AttentionAges{Lapsing: time.Hour, Discarded: 48 * time.Hour}
	got, err := views.GetAttention(t.Context(), pool, live, ages, now, 5)
	require.NoError(t, err)
	want := views.Attention{
		Uncredited: []views.UncreditedRow{{
			EventID: "evt_2", ReceivedAt: at(48), DueAt: at(49), PaymentID: id(9), Status: wallet.PaymentRequiresAction, Amount: 1031, Currency: "EUR",
		}},
		Lapsing:       []views.PaymentRow{openPayment},
		Events:        []views.EventRow{pendingEvent},
		Discrepancies: []views.DiscrepancyRow{discrepancy},
		Discarded:     []views.JobRow{discardedJob},
		Drift:         []postgres.Drift{{Kind: postgres.DriftAmountDiffers, StripeID: "pi_6", Detail: "detail"}},
		ReconciledAt:  at(73),
		Disputes: []views.DisputeRow{{
			ID: id(15), StripeID: "dp_1", PaymentID: id(29), Status: "needs_response", Reason: "dispute reason", Amount: 1081, Currency: "EUR",
			CreatedAt: at(67),
		}},
		Amounts: map[wallet.ID]views.Money{
			id(9): {Amount: 1031, Currency: "EUR"}, id(29): {Amount: 1041, Currency: "EUR"},
		},
		Endpoints: []views.EndpointRow{{
			ID: id(10), Name: "endpoint name", OrganizationName: "organization name", Failures: 4, FailingSince: at(51), HeldUntil: new(at(52)),
			LastError: "endpoint error", Waiting: 1,
		}},
	}
	require.Empty(t, cmp.Diff(want, got, cmpopts.EquateEmpty()))
	testfactory.RequireDistinct(t, want.Uncredited[0])
	testfactory.RequireDistinct(t, want.Disputes[0])
	testfactory.RequireDistinct(t, want.Endpoints[0])
}

func TestListQueues(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	testfactory.DistinctRows(t, pool)
	_, err := pool.Exec(t.Context(), `
		insert into river_job (state, args, kind, queue, max_attempts, created_at, scheduled_at)
		select s.state::river_job_state, '{}', 'kind', 'job_queue', 1, $1, $1
		from (values ('available', 1), ('running', 2), ('retryable', 3), ('scheduled', 4)) as s (state, n)
		cross join lateral generate_series(1, s.n)`, at(90))
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), `
		insert into operator_actions (mode, user_id, actor, role, action, subject_kind, subject_id, reason, request_id, acted_at)
		values ('live', $1, 'pauser@mail.example', 'operator', 'queue.pause', 'queue', 'job_queue', 'pause reason', '', $2)`, id(13), at(91))
	require.NoError(t, err)

	got, err := first(views.ListQueues(t.Context(), pool))
	require.NoError(t, err)
	want := views.QueueRow{
		Name: "job_queue", Available: 1, Running: 2, Retryable: 3, Scheduled: 4, OldestAt: new(at(90)), PausedAt: new(at(80)),
		UpdatedAt: new(at(81)), PausedBy: "pauser@mail.example", PauseReason: "pause reason",
	}
	testfactory.RequireDistinct(t, want)
	require.Empty(t, cmp.Diff(want, got))
}

// page returns a function that reads the first row of a list.
func page[F, T any](
	ctx context.Context, db postgres.DB, list func(context.Context, postgres.DB, F) (views.Page[T], error), filter F,
) func() (any, error) {
	return func() (any, error) { return firstOf(list(ctx, db, filter)) }
}

func firstOf[T any](page views.Page[T], err error) (any, error) { return first(page.Rows, err) }

// first returns the first row of a list, nil if it has none.
func first[T any](list []T, err error) (any, error) {
	if len(list) == 0 {
		return nil, err
	}
	return list[0], err
}
