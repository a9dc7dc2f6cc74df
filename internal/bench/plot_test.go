package bench

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestChart(t *testing.T) {
	t.Parallel()

	c := chart{
		title: "Cost & more", xLabel: "clients", yLabel: "us", points: []string{"1", "16", "64"},
		lines: []line{{"service", []float64{900, 400, 180.5}}, {"<PostgreSQL>", []float64{1200, 600, 300}}},
	}

	drawing := c.svg()

	d := xml.NewDecoder(strings.NewReader(drawing))
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
	}
	require.Contains(t, drawing, "Cost &amp; more")
	require.Equal(t, 6, strings.Count(drawing, "<circle"), "one for each value")
	require.InDelta(t, 2000, c.top(), 0)
	require.InDelta(t, float64(planeBottom), yOf(0, c.top()), 0)
	require.InDelta(t, float64(marginTop), yOf(2000, c.top()), 0)
	require.InDelta(t, 1, chart{}.top(), 0)
}
