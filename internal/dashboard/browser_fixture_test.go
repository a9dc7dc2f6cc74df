//go:build browser

package dashboard_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/config"
	"github.com/fundrail/fundrail/internal/dashboard"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripesim"
	"github.com/fundrail/fundrail/internal/stripesim/simtest"
	"github.com/fundrail/fundrail/internal/testdb"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/worker"
)

const browserPassword = "correct horse battery"

// house is the whole service with a simulated Stripe and a user for each role.
type house struct {
	merchant testfactory.Merchant
	pool     *pgxpool.Pool
	sim      *simtest.Sim
	url      string
	// threeDS is a card that requires a challenge.
	threeDS wallet.PaymentMethod
}

func newHouse(t *testing.T) *house {
	t.Helper()

	const webhookSecret = "whsec_browser"
	h := &house{pool: testdb.New(t), sim: simtest.New(t)}
	h.merchant = testfactory.NewMerchant(t, h.pool, testfactory.MerchantOpts{})
	h.threeDS = testfactory.PaymentMethod(t, h.pool, testfactory.PaymentMethodOpts{Customer: h.merchant.Customer, Last4: "3220"})
	_, err := h.sim.CreateCustomer(stripesim.NewCustomer{ID: h.merchant.Customer.StripeCustomerID})
	require.NoError(t, err)
	for card, method := range map[string]string{
		"pm_card_visa":                  h.merchant.PaymentMethod.StripePaymentMethodID,
		"pm_card_threeDSecure2Required": h.threeDS.StripePaymentMethodID,
	} {
		_, err := h.sim.CreatePaymentMethod(stripesim.SavedCard{Card: card, Customer: h.merchant.Customer.StripeCustomerID, ID: method})
		require.NoError(t, err)
	}
	hash, err := dashboard.HashPassword(browserPassword)
	require.NoError(t, err)
	for _, role := range postgres.Roles {
		require.NoError(t, postgres.InsertUser(t.Context(), h.pool, postgres.User{
			ID: wallet.NewID(), Email: string(role) + "@fundrail.test", Role: role, PasswordHash: hash, CreatedAt: time.Now(),
		}))
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done, ready := make(chan error, 1), make(chan struct{})
	go func() {
		done <- worker.Run(ctx, worker.Options{
			Listener: listener,
			Log:      slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError})),
			Ready:    func(net.Addr) { close(ready) },
			Settings: config.Settings{
				Database: config.Database{DatabaseURL: config.Secret(h.pool.Config().ConnString())},
				HTTP:     config.HTTP{ListenAddr: listener.Addr().String()},
				Limits: config.Limits{
					ActionDeadline: time.Hour, FundWait: 5 * time.Second, RateLimitPerMinute: 1000, Workers: 4,
				},
				Webhooks: config.Webhooks{WebhookAllowPrivate: true, WebhookEndpointLimit: 10},
				Stripe: config.Stripe{
					StripeAPIURL: h.sim.URL, StripeTestSecretKey: simtest.Key, StripeTestWebhookSecrets: []config.Secret{webhookSecret},
				},
			},
		})
	}()
	select {
	case <-ready:
	case err := <-done:
		require.NoError(t, err)
	}
	h.url = "http://" + listener.Addr().String()
	h.sim.SetWebhook(h.url+"/webhooks/stripe", webhookSecret)
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-done)
	})
	return h
}

// tab is a browser tab.
type tab struct {
	context.Context
	t *testing.T

	mu sync.Mutex
	// complaints are the errors of the console, such as violations of the content security
	// policy.
	complaints []string
}

// browse starts a browser that ends with the test.
func browse(t *testing.T) *tab {
	t.Helper()

	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()), chromedp.WSURLReadTimeout(time.Minute),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-sync", true),
	)
	allocated, stop := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...)
	t.Cleanup(stop)
	b := newTab(t, allocated)
	b.do(screens[0].use())
	return b
}

func newTab(t *testing.T, parent context.Context) *tab { //nolint:revive // a tab is the test's first
	t.Helper()

	ctx, leave := chromedp.NewContext(parent)
	t.Cleanup(leave)
	b := &tab{Context: ctx, t: t}
	require.NoError(t, chromedp.Listen(ctx, b.listen))
	return b
}

// another opens a second tab of the same browser.
func (b *tab) another() *tab { return newTab(b.t, b.Context) }

func (b *tab) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError && !strings.Contains(e.Entry.Text, "the server responded with a status") {
			b.complaints = append(b.complaints, e.Entry.Text)
		}
	case *runtime.EventExceptionThrown:
		b.complaints = append(b.complaints, e.ExceptionDetails.Text)
	}
}

// within returns a context with a timeout, so that a page that does not load fails the test.
func (b *tab) within() (context.Context, context.CancelFunc) {
	const limit = 30 * time.Second
	return context.WithTimeout(b.Context, limit)
}

// do runs actions. If one fails, the test fails with the text of the page.
func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := b.within()
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		late, cancel := b.within()
		defer cancel()
		text, _ := chromedp.Run(late, chromedp.Evaluate[string]("location.href + '\\n' + document.body.innerText"))
		require.NoError(b.t, err, "text of the page:\n%s", text)
	}
}

// evaluate runs a script in the page.
func evaluate[T any](b *tab, script string) T {
	b.t.Helper()
	ctx, cancel := b.within()
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](script))
	require.NoError(b.t, err)
	return v
}

// login logs in with the form.
func (b *tab) login(h *house, role postgres.Role) {
	b.t.Helper()
	b.do(
		chromedp.Navigate(h.url+"/admin"),
		chromedp.SendKeys(`input[name=email]`, string(role)+"@fundrail.test"),
		chromedp.SendKeys(`input[name=password]`, browserPassword),
		chromedp.Click(`.login button`),
		chromedp.WaitVisible(`//h1[contains(., "Overview")]`),
	)
}

// see waits until the page says something.
func see(text string) chromedp.Action[chromedp.Void] {
	return chromedp.WaitVisible(fmt.Sprintf(`//main//*[not(self::option)][text()[contains(normalize-space(.), %q)]]`, text))
}

// confirm opens one of the page's forms by its name, gives a reason and sends it.
func confirm(name, reason string) chromedp.Action[chromedp.Void] {
	form := fmt.Sprintf(`//details[contains(@class, "confirm")][summary[normalize-space(.) = %q]]`, name)
	return chromedp.Steps(
		chromedp.Click(form+`/summary`),
		chromedp.SendKeys(form+`//input[@name="reason"]`, reason),
		chromedp.Click(form+`//button`),
	)
}

// screen is the size of a window.
type screen struct {
	name          string
	width, height int64
	mobile        bool
}

var screens = []screen{{"desktop", 1440, 900, false}, {"phone", 390, 844, true}}

func (s screen) use() chromedp.Action[chromedp.Void] {
	if s.mobile {
		return chromedp.EmulateViewport(s.width, s.height, chromedp.EmulateMobile)
	}
	return chromedp.EmulateViewport(s.width, s.height)
}

// scheme selects the light or dark colour scheme.
func scheme(name string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}},
		})
		return err
	})
}

// withoutScript disables scripts.
func withoutScript() chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	})
}
