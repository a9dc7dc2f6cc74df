//go:build browser

package dashboard_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// TestDocs checks the page of the API's documentation like the pages of the dashboard, with
// all sections closed and with all open.
func TestDocs(t *testing.T) {
	t.Parallel()

	h := newHouse(t)
	b := browse(t)
	b.do(chromedp.Navigate(h.url+"/docs"), chromedp.WaitVisible(`article#fundWallet`))
	for _, open := range []bool{false, true} {
		evaluate[int](b, `[...document.querySelectorAll("details")].map((d) => (d.open = `+strconv.FormatBool(open)+`)).length`)
		for _, s := range screens {
			for _, colours := range []string{"light", "dark"} {
				b.do(s.use(), scheme(colours))
				problems := evaluate[[]string](b, strings.ReplaceAll(accessibility, "WINDOW_WIDTH", strconv.FormatInt(s.width, 10)))
				require.Empty(t, problems, "%s, %s, open %t:\n%s", s.name, colours, open, strings.Join(problems, "\n"))
				if folder := os.Getenv("SCREENSHOTS"); folder != "" && !open {
					b.photograph(t, filepath.Join(folder, "docs-"+s.name+"-"+colours+".png"))
				}
			}
		}
	}
	require.Empty(t, b.complaints)

	b.do(screens[1].use(), withoutScript(), chromedp.Navigate(h.url+"/docs"),
		chromedp.Click(`.menu > summary`), chromedp.WaitVisible(`.menu a[href="#refundPayment"]`),
		chromedp.Click(`.menu a[href="#refundPayment"]`), chromedp.WaitVisible(`article#refundPayment:target`))
}

// photograph saves a screenshot of the window.
func (b *tab) photograph(t *testing.T, path string) {
	t.Helper()

	ctx, cancel := b.within()
	defer cancel()
	image, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, image, 0o600))
}
