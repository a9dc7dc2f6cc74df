package telemetry

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/wallet"
)

var (
	metricName = regexp.MustCompile(`fundrail_[a-z_]+`)
	described  = regexp.MustCompile(`fqName: "([^"]+)"`)
)

// names returns the names of all metrics, including those without a value so far.
func names(t *testing.T) map[string]bool {
	t.Helper()

	m := NewMetrics(Config{Log: slog.New(slog.DiscardHandler), Modes: wallet.Modes, Now: time.Now, Pool: new(pgxpool.Pool)})
	ch := make(chan *prometheus.Desc)
	go func() {
		m.registry.Describe(ch)
		close(ch)
	}()
	all := map[string]bool{}
	for d := range ch {
		name := described.FindStringSubmatch(d.String())[1]
		all[name] = true
		for _, part := range []string{"_bucket", "_count", "_sum"} {
			all[name+part] = strings.HasSuffix(name, "_seconds")
		}
	}
	return all
}

// Every alert must link to a section of the runbook that exists.
func TestEveryAlertHasARunbook(t *testing.T) {
	t.Parallel()

	const page = "https://github.com/fundrail/fundrail/blob/main/docs/operations.md#"
	alerts, err := os.ReadFile(filepath.Join("..", "..", "deploy", "alerts.yaml"))
	require.NoError(t, err)
	docs, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations.md"))
	require.NoError(t, err)
	_, text, found := strings.Cut(string(docs), "\n## Runbooks\n")
	require.True(t, found)
	var books []string
	for _, m := range regexp.MustCompile(`(?m)^### (.+)$`).FindAllStringSubmatch(text, -1) {
		books = append(books, m[1])
	}

	var names []string
	for _, m := range regexp.MustCompile(`(?s)- alert: (\w+)\n.*?runbook_url: (\S+)\n`).FindAllStringSubmatch(string(alerts), -1) {
		names = append(names, m[1])
		require.Equal(t, page+strings.ToLower(m[1]), m[2], m[1])
	}
	require.Len(t, names, strings.Count(string(alerts), "- alert: "), "each has a runbook")
	require.ElementsMatch(t, names, books)
}

// A dashboard or an alert with an unknown metric would silently show nothing.
func TestDeploy(t *testing.T) {
	t.Parallel()

	known := names(t)
	used := map[string]bool{}
	for _, file := range []string{"alerts.yaml", "grafana.json"} {
		content, err := os.ReadFile(filepath.Join("..", "..", "deploy", file))
		require.NoError(t, err)
		found := metricName.FindAllString(string(content), -1)
		require.NotEmpty(t, found)
		for _, name := range found {
			require.True(t, known[name], "%s names %s, which is not a metric", file, name)
			used[strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_count"), "_sum")] = true
		}
	}
	for name := range known {
		base := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_count"), "_sum")
		if strings.HasPrefix(name, "fundrail_") {
			require.True(t, used[base], "no dashboard or alert uses %s", base)
		}
	}

	var dashboard struct{ Panels []struct{ ID int } }
	content, err := os.ReadFile(filepath.Join("..", "..", "deploy", "grafana.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(content, &dashboard))
	require.NotEmpty(t, dashboard.Panels)
}
