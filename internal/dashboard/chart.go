package dashboard

import (
	"fmt"
	"html/template"
	"strings"
	"time"

	"github.com/fundrail/fundrail/internal/postgres/views"
)

// The dimensions of a chart, in its own units. Browsers scale it to the width of the page.
const (
	chartWidth  = 960
	chartHeight = 220
	chartLeft   = 44
	chartRight  = 8
	chartTop    = 12
	chartBottom = 26
	chartLines  = 4
)

// pulseChart returns an SVG image with a column for each part of the period, which shows
// how many payments settled, failed and are open. Each column has a link to its payments
// and a title with the numbers.
func pulseChart(p views.Pulse, now time.Time, link func(from, until time.Time) string) template.HTML {
	var highest int64
	for _, b := range p.Buckets {
		highest = max(highest, b.Settled+b.Failed+b.Open)
	}
	step := niceStep(highest)
	top := step * chartLines
	height := func(n int64) int64 { return n * (chartHeight - chartTop - chartBottom) / top }

	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="chart" viewBox="0 0 %d %d" role="img" aria-label="Payments by the time they were accepted">`, chartWidth, chartHeight)
	for i := int64(0); i <= chartLines; i++ {
		y := int64(chartHeight-chartBottom) - height(i*step)
		fmt.Fprintf(&b, `<line class="grid" x1="%d" x2="%d" y1="%d" y2="%d"/>`, chartLeft, chartWidth-chartRight, y, y)
		fmt.Fprintf(&b, `<text class="axis" x="%d" y="%d" text-anchor="end">%s</text>`, chartLeft-8, y+4, roughly(i*step))
	}
	slot := (chartWidth - chartLeft - chartRight) * 100 / max(len(p.Buckets), 1) // hundredths
	for i, part := range p.Buckets {
		x := chartLeft*100 + i*slot
		if i%max(len(p.Buckets)/8, 1) == 0 {
			fmt.Fprintf(&b, `<text class="axis" x="%s" y="%d" text-anchor="middle">%s</text>`,
				hundredths(x+slot/2), chartHeight-8, axisTime(part.From, p.Until.Sub(p.From)))
		}
		drawColumn(&b, part, x, slot, height, link(part.From, part.Until))
	}
	if now.After(p.From) && now.Before(p.Until) {
		x := chartLeft*100 + int(int64(now.Sub(p.From))/int64(p.Until.Sub(p.From)/time.Duration(len(p.Buckets)*slot)))
		fmt.Fprintf(&b, `<line class="now" x1="%[1]s" x2="%[1]s" y1="%[2]d" y2="%[3]d"/>`, hundredths(x), chartTop, chartHeight-chartBottom)
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String()) //nolint:gosec // it has only numbers, times and escaped paths of the dashboard
}

func drawColumn(b *strings.Builder, part views.PulseBucket, x, slot int, height func(int64) int64, href string) {
	title := fmt.Sprintf("%s to %s UTC: %d settled, %d failed, %d open",
		part.From.UTC().Format("02 Jan 15:04"), part.Until.UTC().Format("15:04"), part.Settled, part.Failed, part.Open)
	empty := part.Settled+part.Failed+part.Open == 0
	if empty {
		fmt.Fprintf(b, `<g><title>%s</title>`, title)
	} else {
		fmt.Fprintf(b, `<a href="%s" aria-label="%s"><title>%s</title>`, template.HTMLEscapeString(href), title, title)
	}
	fmt.Fprintf(b, `<rect class="slot" x="%s" y="%d" width="%s" height="%d"/>`,
		hundredths(x), chartTop, hundredths(slot), chartHeight-chartTop-chartBottom)
	y := int64(chartHeight - chartBottom)
	for _, segment := range []struct {
		class string
		n     int64
	}{{"good", part.Settled}, {"bad", part.Failed}, {"info", part.Open}} {
		if segment.n == 0 {
			continue
		}
		h := max(height(segment.n), 1) // a small number must be visible
		y -= h
		fmt.Fprintf(b, `<rect class="%s" x="%s" y="%d" width="%s" height="%d"/>`,
			segment.class, hundredths(x+slot/6), y, hundredths(slot*2/3), h)
	}
	if empty {
		b.WriteString(`</g>`)
		return
	}
	b.WriteString(`</a>`)
}

// niceStep returns a round distance between the lines of a chart whose highest column has
// this value.
func niceStep(highest int64) int64 {
	for step := int64(1); ; step *= 10 {
		for _, factor := range []int64{1, 2, 5} {
			if step*factor*chartLines >= highest {
				return step * factor
			}
		}
	}
}

func axisTime(t time.Time, span time.Duration) string {
	if span > 2*24*time.Hour {
		return t.UTC().Format("02 Jan")
	}
	return t.UTC().Format("15:04")
}

// hundredths formats a number of hundredths as a decimal.
func hundredths(n int) string { return fmt.Sprintf("%d.%02d", n/100, n%100) }
