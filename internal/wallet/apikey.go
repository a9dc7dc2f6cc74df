package wallet

import (
	"crypto/rand"
	"math/big"
	"strings"
)

// apiKeyLength is the number of characters after an API key's prefix. Each is one of
// 62, so a key has more than 230 bits.
const apiKeyLength = 40

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// NewAPIKey makes a merchant's key: aks_test_ or aks_live_ and random letters and
// digits. It is shown once. Only its hash is stored.
func NewAPIKey(mode Mode) string {
	var b strings.Builder
	b.WriteString("aks_")
	b.WriteString(string(mode))
	b.WriteByte('_')
	for range apiKeyLength {
		n, _ := rand.Int(rand.Reader, big.NewInt(int64(len(base62)))) // this reader never fails
		b.WriteByte(base62[n.Int64()])
	}
	return b.String()
}
