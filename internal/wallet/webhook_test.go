package wallet_test

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/wallet"
)

// TestEventNamesAreDocumented holds the table of events in docs/api.md to the
// names that are sent.
func TestEventNamesAreDocumented(t *testing.T) {
	t.Parallel()

	text, err := os.ReadFile("../../docs/api.md")
	require.NoError(t, err)
	var documented, sent [][]string
	rows := regexp.MustCompile("(?m)^\\| [^|]+ \\| `([a-z_]+[.][a-z_.]+)` \\| `([a-z_.]+)` \\| `([a-z_.]+)` \\|$").FindAllStringSubmatch(string(text), -1)
	for _, row := range rows {
		documented = append(documented, row[1:])
	}
	for _, e := range wallet.EventTypes {
		sent = append(sent, []string{
			wallet.SignatureStandard.EventName(e), wallet.SignatureLava.EventName(e), wallet.SignatureLago.EventName(e),
		})
	}
	require.ElementsMatch(t, sent, documented)
}
