package wallet_test

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/wallet"
)

// TestDeliveryNamesAreDocumented holds the table of types in docs/api.md to the
// names that are sent.
func TestDeliveryNamesAreDocumented(t *testing.T) {
	t.Parallel()

	text, err := os.ReadFile("../../docs/api.md")
	require.NoError(t, err)
	var documented, sent [][]string
	rows := regexp.MustCompile("(?m)^\\| [^|]+ \\| `([a-z_]+[.][a-z_.]+)` \\| `([a-z_.]+)` \\| `([a-z_.]+)` \\|$").FindAllStringSubmatch(string(text), -1)
	for _, row := range rows {
		documented = append(documented, row[1:])
	}
	for _, e := range wallet.DeliveryTypes {
		sent = append(sent, []string{
			wallet.SignatureStandard.DeliveryName(e), wallet.SignatureLava.DeliveryName(e), wallet.SignatureLago.DeliveryName(e),
		})
	}
	require.ElementsMatch(t, sent, documented)
}
