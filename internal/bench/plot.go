package bench

import (
	"fmt"
	"html"
	"math"
	"os"
	"path/filepath"
	"strings"
)

// chart is a line chart over a few named points. Its axis begins at zero.
type chart struct {
	title, xLabel, yLabel string
	points                []string
	lines                 []line
}

// line has one value for each point of its chart.
type line struct {
	name   string
	values []float64
}

// The size of a chart and its margins, in pixels.
const (
	chartWidth, chartHeight   = 640, 360
	marginLeft, marginRight   = 70, 130
	marginTop, marginBottom   = 46, 56
	planeWidth, planeHeight   = chartWidth - marginLeft - marginRight, chartHeight - marginTop - marginBottom
	planeRight, planeBottom   = marginLeft + planeWidth, marginTop + planeHeight
	dot, gridLines            = 3, 5
	axisColor, gridColor      = "#555555", "#dddddd"
	textColor, textFontFamily = "#222222", "system-ui, sans-serif"
)

// lineColors can be distinguished by most people with a color vision deficiency.
var lineColors = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7"}

// svg returns the chart as SVG.
func (c chart) svg() string {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="%s" font-size="12" fill="%s">`+"\n",
		chartWidth, chartHeight, textFontFamily, textColor)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", chartWidth, chartHeight)
	text(&b, marginLeft, 24, "start", 15, c.title)
	text(&b, marginLeft+planeWidth/2, chartHeight-14, "middle", 12, c.xLabel)
	fmt.Fprintf(&b, `<text transform="translate(18 %d) rotate(-90)" text-anchor="middle">%s</text>`+"\n",
		marginTop+planeHeight/2, html.EscapeString(c.yLabel))
	top := c.top()
	for i := range gridLines + 1 {
		value := top * float64(i) / float64(gridLines)
		y := yOf(value, top)
		fmt.Fprintf(&b, `<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="%s"/>`+"\n", marginLeft, y, planeRight, y, gridColor)
		text(&b, marginLeft-8, int(y)+4, "end", 12, number(value))
	}
	fmt.Fprintf(&b, `<path d="M%d %dV%dH%d" fill="none" stroke="%s"/>`+"\n", marginLeft, marginTop, planeBottom, planeRight, axisColor)
	for i, p := range c.points {
		text(&b, int(c.xOf(i)), planeBottom+18, "middle", 12, p)
	}
	for i, l := range c.lines {
		color := lineColors[i%len(lineColors)]
		c.drawLine(&b, l, color, top)
		drawLegend(&b, i, l.name, color)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func (c chart) drawLine(b *strings.Builder, l line, color string, top float64) {
	var path strings.Builder
	for i, v := range l.values {
		command := "L"
		if i == 0 {
			command = "M"
		}
		fmt.Fprintf(&path, "%s%.1f %.1f", command, c.xOf(i), yOf(v, top))
	}
	fmt.Fprintf(b, `<path d="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", path.String(), color)
	for i, v := range l.values {
		fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="%d" fill="%s"><title>%s: %s</title></circle>`+"\n",
			c.xOf(i), yOf(v, top), dot, color, html.EscapeString(l.name), number(v))
	}
}

// drawLegend writes a line's name next to the plane.
func drawLegend(b *strings.Builder, i int, name, color string) {
	const lead, between, swatch = 12, 18, 10
	y := marginTop + lead + i*between
	fmt.Fprintf(b, `<rect x="%d" y="%d" width="%d" height="%d" fill="%s"/>`+"\n", planeRight+lead, y-swatch+1, swatch, swatch, color)
	text(b, planeRight+lead+swatch+6, y, "start", 12, name)
}

func text(b *strings.Builder, x, y int, anchor string, size int, s string) {
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="%s" font-size="%d">%s</text>`+"\n", x, y, anchor, size, html.EscapeString(s))
}

// xOf returns a point's position. The points are spread evenly, with half a step at
// both ends.
func (c chart) xOf(i int) float64 {
	return marginLeft + planeWidth*(float64(i)+0.5)/float64(len(c.points))
}

func yOf(value, top float64) float64 { return planeBottom - planeHeight*value/top }

// top returns the end of the axis: the next round number above all values.
func (c chart) top() float64 {
	highest := 0.0
	for _, l := range c.lines {
		for _, v := range l.values {
			highest = max(highest, v)
		}
	}
	if highest == 0 {
		return 1
	}
	step := math.Pow(10, math.Floor(math.Log10(highest)))
	for _, factor := range []float64{1, 2, 5, 10} {
		if highest <= factor*step {
			return factor * step
		}
	}
	return 10 * step
}

func number(v float64) string {
	if v < 10 && v != math.Trunc(v) {
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// Sweep is a series of runs in which one parameter changes.
type Sweep struct {
	// Name is the parameter, and Points its values.
	Name   string   `json:"name"`
	Points []string `json:"points"`
	Runs   []Run    `json:"runs"`
}

// draw writes the charts of a sweep: the cost of a payment and the rate of
// payments.
func (s Sweep) draw(dir, what string) error {
	cost := chart{
		title: "Processor time per payment, by " + what, xLabel: what, yLabel: "microseconds", points: s.Points,
		lines: []line{{name: "service"}, {name: "PostgreSQL"}},
	}
	rate := chart{
		title: "Settled payments per second, by " + what, xLabel: what, yLabel: "payments per second", points: s.Points,
		lines: []line{{name: "settled"}},
	}
	for _, r := range s.Runs {
		cost.lines[0].values = append(cost.lines[0].values, r.AppCPU)
		cost.lines[1].values = append(cost.lines[1].values, r.PostgresCPU)
		rate.lines[0].values = append(rate.lines[0].values, r.PerSecond)
	}
	for name, c := range map[string]chart{"cost": cost, "rate": rate} {
		path := filepath.Join(dir, s.Name+"-"+name+".svg")
		if err := os.WriteFile(path, []byte(c.svg()), 0o644); err != nil { //nolint:gosec // not a secret
			return err
		}
	}
	return nil
}
