package console_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/console"
)

func TestPrintTable(t *testing.T) {
	t.Parallel()

	rows := [][]string{{"NAME", "AGE"}, {"Ada", "36"}, {"Grace", "85"}}
	for name, tt := range map[string]struct {
		paint console.Painter
		want  string
	}{
		"Plain":   {console.Plain, "NAME   AGE\nAda    36\nGrace  85\n"},
		"Colored": {console.Colored, "\x1b[1mNAME   AGE\x1b[0m\nAda    36\nGrace  85\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			var b strings.Builder
			require.NoError(t, console.PrintTable(&b, tt.paint, rows))
			require.Equal(t, tt.want, b.String())
		})
	}
}

func TestColored(t *testing.T) {
	t.Parallel()

	require.Equal(t, "\x1b[32myes\x1b[0m", console.Colored(console.Green, "yes"))
	require.Empty(t, console.Colored(console.Green, ""))
}

func TestPlural(t *testing.T) {
	t.Parallel()

	require.Equal(t, "0 wallets", console.Plural(0, "wallet"))
	require.Equal(t, "1 wallet", console.Plural(int64(1), "wallet"))
	require.Equal(t, "2 wallets", console.Plural(2, "wallet"))
}
