//go:build browser

package dashboard_test

import (
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/postgres"
)

// stop is where the focus is: which of the page's controls, in their order, and
// whether that can be seen.
type stop struct {
	Index   int    `json:"index"`
	Name    string `json:"name"`
	Seen    bool   `json:"seen"`
	OnPage  bool   `json:"on_page"`
	Total   int    `json:"total"`
	Visible bool   `json:"visible"`
}

const focused = `(() => {
	const all = [...document.querySelectorAll("a[href], button, summary, input:not([type=hidden]), select, [tabindex]")]
		.filter((e) => e.tabIndex >= 0 && e.checkVisibility({ checkVisibilityCSS: true }));
	const e = document.activeElement, s = getComputedStyle(e), box = e.getBoundingClientRect();
	return {
		index: all.indexOf(e), name: e.outerHTML.slice(0, 120), total: all.length, on_page: e !== document.body,
		seen: s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2,
		visible: box.width > 0 && box.height > 0 && box.bottom > 0 && box.top < innerHeight,
	};
})()`

// TestKeyboard goes through pages with the Tab key: every control is reached, in the
// order of the page, and it can be seen which one has the focus.
func TestKeyboard(t *testing.T) {
	t.Parallel()

	h := newHouse(t)
	id, _ := h.fund(t)
	b := browse(t)
	b.login(h, postgres.RoleAdmin)

	for _, path := range []string{"", "/payments", "/payments/" + id, "/jobs", "/queues", "/attention"} {
		b.do(chromedp.Navigate(h.url+"/admin/test"+path), chromedp.WaitReady("main"))
		says := evaluate[string](b, `(() => {
			const live = document.querySelector("[data-live]");
			live?.click(); // nothing moves meanwhile
			document.activeElement.blur();
			return live ? live.textContent + " " + live.getAttribute("aria-pressed") : "Paused false";
		})()`)
		require.Equal(t, "Paused false", says, path)
		last := -1
		for {
			b.do(chromedp.KeyEvent(kb.Tab))
			at := evaluate[stop](b, focused)
			if !at.OnPage || at.Index == 0 && last > 0 {
				break // it has left the page, or begins anew
			}
			require.Equal(t, last+1, at.Index, "%s: the focus goes to %s", path, at.Name)
			require.True(t, at.Seen, "%s: nothing shows the focus on %s", path, at.Name)
			require.True(t, at.Visible, "%s: the focus is out of sight on %s", path, at.Name)
			last = at.Index
		}
		require.Equal(t, evaluate[stop](b, focused).Total-1, last, "%s: all are reached", path)
	}

	b.do(chromedp.Navigate(h.url+"/admin/test/payments"), chromedp.WaitReady("main"),
		chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Enter))
	require.Equal(t, "main", evaluate[string](b, `document.activeElement.id`), "there is a way past the menu")
	b.do(chromedp.KeyEvent("/"))
	require.Equal(t, "q", evaluate[string](b, `document.activeElement.name`), "one key leads to the search")
	evaluate[any](b, `document.activeElement.blur(), null`)
	b.do(chromedp.KeyEvent("j"), chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible(`//h2[contains(., "Timeline")]`))
	require.Equal(t, h.url+"/admin/test/payments/"+id, evaluate[string](b, `location.href`), "rows are walked through and opened")
	require.Empty(t, b.complaints)
}
