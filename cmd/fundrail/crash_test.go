package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/breakpoint"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripesim"
	"github.com/fundrail/fundrail/internal/stripesim/simtest"
	"github.com/fundrail/fundrail/internal/testdb"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

// crash describes how a process reaches a point, and how the payment that it was
// handling when it died there must end.
type crash struct {
	card string
	deaf bool // no event is delivered
	ends wallet.PaymentStatus
}

const (
	crashChallenged = "pm_card_authenticationRequired"
	crashDeclined   = "pm_card_visa_chargeDeclined"
	crashVisa       = "pm_card_visa"
)

var crashes = map[breakpoint.Point]crash{
	breakpoint.AcceptCommitted: {card: crashVisa, ends: wallet.PaymentSucceeded},
	breakpoint.ChargeRead:      {card: crashVisa, ends: wallet.PaymentSucceeded},
	breakpoint.ChargeAnswered:  {card: crashVisa, deaf: true, ends: wallet.PaymentSucceeded},
	breakpoint.OutcomeStored:   {card: crashDeclined, ends: wallet.PaymentFailed},
	breakpoint.IntentClosed:    {card: crashDeclined, ends: wallet.PaymentFailed},
	breakpoint.IntakeCommitted: {card: crashVisa, ends: wallet.PaymentSucceeded},
	breakpoint.EventRead:       {card: crashChallenged, ends: wallet.PaymentSucceeded},
	breakpoint.EventAnswered:   {card: crashChallenged, ends: wallet.PaymentSucceeded},
	breakpoint.EventFinished:   {card: crashChallenged, ends: wallet.PaymentSucceeded},
	breakpoint.ChecksWritten:   {card: crashChallenged, deaf: true, ends: wallet.PaymentSucceeded},
	breakpoint.CheckRead:       {card: crashChallenged, deaf: true, ends: wallet.PaymentSucceeded},
}

// crashBundle is a database, a simulated Stripe and a merchant. Processes serve the same
// address on it, one after the other.
type crashBundle struct {
	crash
	addr   string
	binary string
	m      testfactory.Merchant
	pool   *pgxpool.Pool
	sim    *simtest.Sim
}

func setupCrash(t *testing.T, binary string, c crash) *crashBundle {
	t.Helper()

	b := &crashBundle{addr: freeAddr(t), binary: binary, crash: c, pool: testdb.New(t), sim: simtest.New(t)}
	require.NoError(t, postgres.PlaceTestMarker(t.Context(), b.pool, "crash"))
	b.m = testfactory.NewMerchant(t, b.pool, testfactory.MerchantOpts{})
	_, err := b.sim.CreateCustomer(stripesim.NewCustomer{ID: b.m.Customer.StripeCustomerID})
	require.NoError(t, err)
	_, err = b.sim.CreatePaymentMethod(stripesim.SavedCard{
		Card: c.card, Customer: b.m.Customer.StripeCustomerID, ID: b.m.PaymentMethod.StripePaymentMethodID,
	})
	require.NoError(t, err)
	if c.deaf {
		b.sim.SetListLag(time.Hour) // so that a sweep finds nothing
	} else {
		b.sim.SetWebhook("http://"+b.addr+"/webhooks/stripe", "whsec_crash")
	}
	return b
}

// serve starts a process that dies at a point, or does not die if there is none.
func (b *crashBundle) serve(t *testing.T, point breakpoint.Point) *process {
	t.Helper()

	p := startProcess(t, b.binary, b.pool.Config().ConnString(), "serve", "--listen="+b.addr, "--fund-wait=2s", "--log-format=text",
		"--stripe-api-url="+b.sim.URL, "--stripe-test-secret-key="+simtest.Key, "--stripe-test-webhook-secrets=whsec_crash",
		"--test-marker=crash", "--test-check-scale=60", "--test-rescue-after=6s", "--test-crash="+string(point))
	require.Eventually(t, func() bool { return answers("http://"+b.addr+"/healthz") || ended(p) }, startWithin, lookEvery)
	return p
}

func ended(p *process) bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// fund sends a fund request of 25.00 with the test's key. Status 0 means no answer.
func (b *crashBundle) fund(ctx context.Context) (int, map[string]any) { return b.fundUnder(ctx, "one") }

func (b *crashBundle) fundUnder(ctx context.Context, key string) (int, map[string]any) {
	body, err := json.Marshal(map[string]string{
		"amount": "25.00", "payment_method_id": wallet.Spell(wallet.PrefixPaymentMethod, b.m.Mode, b.m.PaymentMethod.ID),
	})
	if err != nil {
		return 0, nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+b.addr+"/v1/wallet/fund", bytes.NewReader(body))
	if err != nil {
		return 0, nil
	}
	req.Header.Set("Authorization", "Bearer "+b.m.APIKey)
	req.Header.Set("Idempotency-Key", key)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil
	}
	defer res.Body.Close()
	answer := map[string]any{}
	if json.NewDecoder(res.Body).Decode(&answer) != nil {
		return 0, nil
	}
	return res.StatusCode, answer
}

// passChallenges passes every open challenge.
func (b *crashBundle) passChallenges() {
	for _, in := range b.sim.Intents(false) {
		if in.Status == stripesim.StatusRequiresAction {
			_, _ = b.sim.CompleteChallenge(in.ID, stripesim.OutcomeSucceed) // the challenge may have ended meanwhile
		}
	}
}

// payment returns the only payment, or a zero payment if there is none.
func (b *crashBundle) payment(t *testing.T) wallet.Payment {
	t.Helper()

	list, err := postgres.ListPayments(t.Context(), b.pool, b.m.Wallet.ID, wallet.ID{}, 10)
	require.NoError(t, err)
	require.LessOrEqual(t, len(list), 1, "one key, one payment")
	if len(list) == 0 {
		return wallet.Payment{}
	}
	return list[0]
}

// quiet reports whether every event is handled and every intent that could still
// take money is closed.
func (b *crashBundle) quiet(t *testing.T) bool {
	t.Helper()

	var pending int
	require.NoError(t, b.pool.QueryRow(t.Context(), `select count(*) from stripe_events where status = 'pending'`).Scan(&pending))
	for _, in := range b.sim.Intents(false) {
		if in.Status != stripesim.StatusSucceeded && in.Status != stripesim.StatusCanceled {
			return false
		}
	}
	return pending == 0
}

// TestCrashPoints kills a process between every two steps of accepting, charging,
// storing and settling, and starts another process. The result must be the same as
// without the crash: one payment, one charge, one credit.
func TestCrashPoints(t *testing.T) {
	t.Parallel()

	binary := buildBinary(t)
	require.Len(t, crashes, len(breakpoint.Points), "every point has its test")
	for _, point := range breakpoint.Points {
		t.Run(pascal(string(point)), func(t *testing.T) {
			t.Parallel()

			b := setupCrash(t, binary, crashes[point])
			victim := b.serve(t, point)
			require.Eventually(t, func() bool {
				if ended(victim) {
					return true
				}
				b.fund(t.Context())
				b.passChallenges()
				return ended(victim)
			}, startWithin, lookEvery, "the process should come to the point")
			requireKilled(t, victim.err)

			b.serve(t, "")

			require.Eventually(t, func() bool {
				b.passChallenges()
				status, _ := b.fund(t.Context())
				return status == http.StatusOK || status == http.StatusPaymentRequired
			}, startWithin, lookEvery, "the client gets its answer")
			require.Eventually(t, func() bool {
				b.passChallenges()
				return b.payment(t).Status == b.ends && b.quiet(t)
			}, startWithin, lookEvery, "the payment comes to its end")
			b.requireOneOfEach(t)
		})
	}
}

// requireOneOfEach requires one charge and one credit, or neither if the card was
// declined.
func (b *crashBundle) requireOneOfEach(t *testing.T) {
	t.Helper()

	report, err := postgres.Audit(t.Context(), b.pool)
	require.NoError(t, err)
	require.Empty(t, report.Findings)
	require.Len(t, b.sim.Intents(false), 1)
	want := int64(0)
	if b.ends == wallet.PaymentSucceeded {
		want = 2500
	}
	paid := int64(0)
	for _, in := range b.sim.Export(false) {
		paid += in.AmountReceived
	}
	require.Equal(t, want, paid)
	w, err := postgres.GetWallet(t.Context(), b.pool, b.m.Wallet.ID)
	require.NoError(t, err)
	require.Equal(t, want, w.Balance)
}

func requireKilled(t *testing.T, err error) {
	t.Helper()

	exit, ok := errors.AsType[*exec.ExitError](err)
	require.True(t, ok, "%v", err)
	status, ok := exit.Sys().(syscall.WaitStatus)
	require.True(t, ok)
	require.Equal(t, syscall.SIGKILL, status.Signal())
}

// pascal returns ChargeRead for a name such as charge-read.
func pascal(name string) string {
	var b strings.Builder
	for word := range strings.SplitSeq(name, "-") {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}

// TestTestSettingsAreHidden checks that the help does not show settings for tests.
func TestTestSettingsAreHidden(t *testing.T) {
	t.Parallel()

	r := fundrail(t, nil, "serve", "--help")

	require.Equal(t, exitOK, r.code)
	require.NotContains(t, strings.ToLower(r.stdout), "test-crash")
	require.NotContains(t, r.stdout, "FUNDRAIL_TEST")
}
