package dashboard

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/fundrail/fundrail/internal/postgres/views"
	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/wallet"
)

// functions are the functions that templates can call, in addition to the methods of view.
var functions = template.FuncMap{
	"actions":  func() []string { return actionNames },
	"at":       at,
	"badge":    badge,
	"breaker":  breaker,
	"count":    formatCount,
	"credits":  func(d decimal.Decimal) string { return grouped(d.String()) },
	"dict":     dict,
	"duration": duration,
	"group":    func(n any) string { return grouped(fmt.Sprint(n)) },
	"icon":     icon,
	"id":       func(v any) string { return fmt.Sprint(v) },
	"label":    label,
	"last":     func(list []views.JobError) int { return len(list) - 1 },
	"more":     func(list []wallet.ID) int { return len(list) - 1 },
	"money":    money,
	"pay": func(mode string, id wallet.ID) string {
		return wallet.Spell(wallet.PrefixPayment, wallet.Mode(mode), id)
	},
	"pretty": pretty,
	"short":  short,
	"signed": signed,
	"slice4": func() []int { return []int{1, 2, 3, 4} },

	"snoozeChoices": func() [][2]string { return [][2]string{{"5m", "5 minutes"}, {"1h", "1 hour"}, {"24h", "24 hours"}} },
	"str":           func(v any) string { return fmt.Sprint(v) },
	"wal": func(mode string, id wallet.ID) string {
		return wallet.Spell(wallet.PrefixWallet, wallet.Mode(mode), id)
	},
}

// dict returns a map of the pairs of keys and values. Templates use it to pass several
// values to a part.
func dict(pairs ...any) map[string]any {
	m := make(map[string]any, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		m[fmt.Sprint(pairs[i])] = pairs[i+1]
	}
	return m
}

// money formats an amount with separated thousands and its currency.
func money(amount int64, c wallet.Currency) string {
	return grouped(wallet.FormatMinor(amount, c)) + " " + string(c)
}

// signed is like money, with a plus sign for a positive amount.
func signed(amount int64, c wallet.Currency) string {
	if amount > 0 {
		return "+" + money(amount, c)
	}
	return money(amount, c)
}

// grouped separates the thousands of a decimal number with commas.
func grouped(number string) string {
	sign := ""
	if strings.HasPrefix(number, "-") {
		sign, number = "−", number[1:]
	}
	whole, fraction, hasFraction := strings.Cut(number, ".")
	var b strings.Builder
	b.WriteString(sign)
	for i, digit := range whole {
		const group = 3
		if i > 0 && (len(whole)-i)%group == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(digit)
	}
	if hasFraction {
		b.WriteByte('.')
		b.WriteString(fraction)
	}
	return b.String()
}

func formatCount(c views.Count) string {
	if !c.Estimated {
		return grouped(strconv.FormatInt(c.N, 10))
	}
	return "≈ " + roughly(c.N)
}

// roughly formats a number and rounds large ones.
func roughly(n int64) string {
	const thousand, million = 1_000, 1_000_000
	switch {
	case n >= 10*million:
		return strconv.FormatInt(n/million, 10) + " M"
	case n >= million:
		return decimal.New(n, 0).Div(decimal.NewFromInt(million)).StringFixed(2) + " M"
	case n >= 10*thousand:
		return strconv.FormatInt(n/thousand, 10) + " k"
	default:
		return grouped(strconv.FormatInt(n, 10))
	}
}

func asTime(v any) (time.Time, bool) {
	switch t := v.(type) {
	case time.Time:
		return t, !t.IsZero()
	case *time.Time:
		if t != nil {
			return *t, true
		}
	}
	return time.Time{}, false
}

// at formats a time in UTC, to the second.
func at(v any) template.HTML {
	t, ok := asTime(v)
	if !ok {
		return "–"
	}
	return timeElement(t, t.UTC().Format("02 Jan 15:04:05"), false)
}

// timeElement returns a time element. Its title is the full time, and a script can update
// the text of a relative time.
func timeElement(t time.Time, text string, relative bool) template.HTML {
	class := ""
	if relative {
		class = ` class="ago"`
	}
	utc := t.UTC()
	return template.HTML(fmt.Sprintf(`<time%s datetime="%s" title="%s">%s</time>`, //nolint:gosec // it contains no text of users
		class, utc.Format(time.RFC3339Nano), utc.Format("2006-01-02 15:04:05.000 UTC"), text))
}

func ago(t, now time.Time) string {
	if t.After(now) {
		return "in " + duration(t.Sub(now))
	}
	const moment = time.Second
	if now.Sub(t) < moment {
		return "now"
	}
	return duration(now.Sub(t)) + " ago"
}

// duration formats a duration in at most two units.
func duration(d time.Duration) string {
	const day = 24 * time.Hour
	if d < 0 {
		d = -d
	}
	switch {
	case d < time.Millisecond:
		return "0 ms"
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
	case d < 10*time.Second:
		return decimal.New(d.Milliseconds(), -3).Round(1).String() + " s"
	case d < time.Minute:
		return strconv.FormatInt(int64(d/time.Second), 10) + " s"
	case d < time.Hour:
		return twoUnits(d, time.Minute, "min", time.Second, "s")
	case d < day:
		return twoUnits(d, time.Hour, "h", time.Minute, "min")
	default:
		return twoUnits(d, day, "d", time.Hour, "h")
	}
}

func twoUnits(d, large time.Duration, largeName string, small time.Duration, smallName string) string {
	s := strconv.FormatInt(int64(d/large), 10) + " " + largeName
	if rest := int64(d % large / small); rest > 0 && d/large < 10 {
		s += " " + strconv.FormatInt(rest, 10) + " " + smallName
	}
	return s
}

func seconds(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) }

// short returns the end of an id. The beginning is the same for ids of about the same time.
func short(v any) string {
	const keep = 8
	s := fmt.Sprint(v)
	if len(s) <= keep+4 {
		return s
	}
	return "…" + s[len(s)-keep:]
}

// tones are the colours of states. A colour is never shown without the state's name.
var tones = map[string]string{
	"available": "info", "canceled": "idle", "cancelled": "idle", "completed": "good", "created": "info", "discarded": "bad",
	"failed": "bad", "granted": "info", "handled": "good", "ignored": "idle", "invoiced": "idle", "paused": "warn",
	"pending": "warn", "processing": "info", "purchased": "idle", "requires_action": "warn", "retryable": "warn",
	"running": "info", "scheduled": "idle", "settled": "good", "succeeded": "good", "voided": "idle", "working": "good",
}

// badge returns a state with its colour.
func badge(state any) template.HTML {
	s := fmt.Sprint(state)
	tone, ok := tones[s]
	if !ok {
		tone = "idle"
	}
	return template.HTML(`<span class="badge ` + tone + `">` + template.HTMLEscapeString(label(s)) + `</span>`) //nolint:gosec // escaped
}

// breaker returns a badge for the state of the circuit breaker.
func breaker(s stripeapi.BreakerState) template.HTML {
	switch s {
	case stripeapi.BreakerOpen:
		return `<span class="badge bad">Open: no calls</span>`
	case stripeapi.BreakerHalfOpen:
		return `<span class="badge warn">Half open: testing</span>`
	case stripeapi.BreakerClosed:
	}
	return `<span class="badge good">Closed</span>`
}

// label replaces underscores with spaces and capitalizes the first letter.
func label(v any) string {
	s := strings.ReplaceAll(fmt.Sprint(v), "_", " ")
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// pretty indents JSON. It does not change text that is not JSON.
func pretty(v any) string {
	var raw []byte
	switch t := v.(type) {
	case []byte:
		raw = t
	case json.RawMessage:
		raw = t
	default:
		raw, _ = json.Marshal(v)
	}
	var b bytes.Buffer
	if json.Indent(&b, raw, "", "  ") != nil {
		return string(raw)
	}
	return b.String()
}

// icons are SVG paths on a grid of 16 by 16, in the colour of the surrounding text.
var icons = map[string]string{
	"attention": `<path d="M8 2.2 14.5 13.5h-13z"/><path d="M8 6.5v3.2M8 11.6v.1"/>`,
	"audit":     `<path d="M3.5 2h6.2L12.5 5v9h-9z"/><path d="M5.8 7.5h4.5M5.8 10.5h4.5"/>`,
	"customers": `<circle cx="8" cy="5.3" r="2.6"/><path d="M2.8 13.8c.6-3 2.7-4.2 5.2-4.2s4.6 1.2 5.2 4.2"/>`,
	"events":    `<path d="M9 1.8 3.5 9h4L7 14.2 12.5 7h-4z"/>`,
	"invoices":  `<path d="M3.5 1.8h9v12.4l-2.2-1.4L8 14.2l-2.3-1.4-2.2 1.4z"/><path d="M6 5.5h4M6 8.5h4"/>`,
	"jobs":      `<path d="M2.5 4h11M2.5 8h11M2.5 12h7"/>`,
	"menu":      `<path d="M2 4h12M2 8h12M2 12h12"/>`,
	"overview":  `<path d="M2 13.5V8.5M6 13.5V3M10 13.5V6.5M14 13.5V10"/>`,
	"payments":  `<rect x="1.8" y="3.5" width="12.4" height="9" rx="1.5"/><path d="M1.8 6.5h12.4"/>`,
	"queues":    `<rect x="2" y="2.5" width="12" height="3" rx="1"/><rect x="2" y="6.5" width="12" height="3" rx="1"/><rect x="2" y="10.5" width="12" height="3" rx="1"/>`,
	"search":    `<circle cx="7" cy="7" r="4.5"/><path d="m10.5 10.5 3.5 3.5"/>`,
	"wallets":   `<path d="M2 4.5h10.5a1.5 1.5 0 0 1 1.5 1.5v6a1.5 1.5 0 0 1-1.5 1.5h-9A1.5 1.5 0 0 1 2 12z"/><path d="M2 4.5 10 2v2.5M11 9h.1"/>`,
}

func icon(name string) template.HTML {
	return template.HTML(`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">` + icons[name] + `</svg>`) //nolint:gosec // icons are constants
}
