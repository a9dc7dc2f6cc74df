//go:build browser

package dashboard_test

import (
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/postgres"
)

// stop describes the focused control: its index among the page's controls, and whether it
// and its focus indicator are visible.
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

// TestKeyboard tests that the Tab key reaches every control in the order of the page, that
// the focus is visible, and that the shortcuts work.
func TestKeyboard(t *testing.T) {
	t.Parallel()

	h := newHouse(t)
	id, _ := h.fund(t)
	b := browse(t)
	b.login(h, postgres.RoleAdmin)

	for _, path := range []string{"", "/payments", "/payments/" + id, "/jobs", "/queues", "/attention"} {
		b.do(chromedp.Navigate(h.url+"/admin/test"+path), chromedp.WaitReady("main"))
		live := evaluate[string](b, `(() => {
			const live = document.querySelector("[data-live]");
			live?.click(); // pause the updates
			document.activeElement.blur();
			return live ? live.textContent + " " + live.getAttribute("aria-pressed") : "Paused false";
		})()`)
		require.Equal(t, "Paused false", live, path)
		last := -1
		for {
			b.do(chromedp.KeyEvent(kb.Tab))
			at := evaluate[stop](b, focused)
			if !at.OnPage || at.Index == 0 && last > 0 {
				break // the focus has left the page, or is on the first control again
			}
			require.Equal(t, last+1, at.Index, "%s: the focus moves to %s", path, at.Name)
			require.True(t, at.Seen, "%s: no focus indicator on %s", path, at.Name)
			require.True(t, at.Visible, "%s: %s is not visible", path, at.Name)
			last = at.Index
		}
		require.Equal(t, evaluate[stop](b, focused).Total-1, last, "%s: not all controls were reached", path)
	}

	b.do(chromedp.Navigate(h.url+"/admin/test/payments"), chromedp.WaitReady("main"),
		chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Enter))
	require.Equal(t, "main", evaluate[string](b, `document.activeElement.id`), "the skip link works")
	b.do(chromedp.KeyEvent("/"))
	require.Equal(t, "q", evaluate[string](b, `document.activeElement.name`), "the slash key focuses the search")
	evaluate[any](b, `document.activeElement.blur(), null`)
	b.do(chromedp.KeyEvent("j"), chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible(`//h2[contains(., "Timeline")]`))
	require.Equal(t, h.url+"/admin/test/payments/"+id, evaluate[string](b, `location.href`), "the keys j and Enter open a row")
	require.Empty(t, b.complaints)
}
