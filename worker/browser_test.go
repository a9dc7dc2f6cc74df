//go:build browser

package worker_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/stripesim"
)

// newBrowser starts a browser that ends with the test. It makes no requests except
// to the pages of the test.
func newBrowser(t *testing.T) context.Context {
	t.Helper()

	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.NoSandbox,
		chromedp.DisableGPU,
		chromedp.UserDataDir(t.TempDir()),
		chromedp.WindowSize(900, 700),
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-sync", true),
	)
	allocated, stop := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...)
	browser, leave := chromedp.NewContext(allocated)
	t.Cleanup(func() {
		leave()
		stop()
	})
	within, cancel := context.WithTimeout(browser, time.Minute)
	t.Cleanup(cancel)
	return within
}

// screenshot stores a picture of the page in the directory of the environment
// variable SCREENSHOTS.
func screenshot(browser context.Context, t *testing.T, name string) {
	t.Helper()

	folder := os.Getenv("SCREENSHOTS")
	if folder == "" {
		folder = t.TempDir()
	}
	png, err := chromedp.Run(browser, chromedp.CaptureScreenshot())
	require.NoError(t, err)
	require.NotEmpty(t, png)
	require.NoError(t, os.MkdirAll(folder, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(folder, name+".png"), png, 0o600))
}

// TestChallengeInABrowser passes or fails a challenge as a cardholder does. It
// opens the address that the merchant got, presses a button and checks the page on
// which it ends.
func TestChallengeInABrowser(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		button  string
		state   string
		balance int64
	}{
		"Passed": {button: "succeed", state: "completed", balance: 2500},
		"Failed": {button: "fail", state: "failed", balance: 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			b := setup(t)
			_, err := b.sim.CreatePaymentMethod(stripesim.SavedCard{
				Card: "pm_card_authenticationRequired", Customer: b.m.Customer.StripeCustomerID, ID: "pm_challenged",
			})
			require.NoError(t, err)
			_, err = b.pool.Exec(t.Context(), `update payment_methods set stripe_payment_method_id = 'pm_challenged'`)
			require.NoError(t, err)
			p := b.start(t, nil)
			status, answer := b.fund(t, p, nil)
			require.Equal(t, http.StatusOK, status)
			require.Equal(t, "requires_action", answer["status"])
			browser := newBrowser(t)

			require.NoError(t, chromedp.Do(browser,
				chromedp.Navigate(answer["redirect_url"].(string)),
				chromedp.WaitVisible(`button[value=`+tc.button+`]`),
			))
			screenshot(browser, t, "challenge-"+name)
			require.NoError(t, chromedp.Do(browser,
				chromedp.Click(`button[value=`+tc.button+`]`),
				chromedp.WaitVisible(`main[data-state=`+tc.state+`]`), // the page reloads itself until the status changes
			))

			screenshot(browser, t, "return-"+tc.state)
			require.Eventually(t, func() bool { return b.balance(t) == tc.balance }, 10*time.Second, 10*time.Millisecond)
		})
	}
}
