package delivery

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"

	"github.com/fundrail/fundrail/internal/wallet"
)

// header returns the headers of a body. The headers of the Standard Webhooks
// specification are sent in every dialect. Lava's and Lago's headers are sent in
// addition. Their signature headers hold one signature, so the previous secret's
// signature is in a second header with the suffix -Previous.
func header(m Message, body []byte) http.Header {
	id := wallet.Spell(wallet.PrefixEvent, m.Event.Mode, m.Event.ID)
	timestamp := strconv.FormatInt(m.Now.Unix(), 10)
	h := http.Header{}
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", "Fundrail-Webhooks/1.0")
	set(h, "webhook-id", id)
	set(h, "webhook-timestamp", timestamp)
	standard := make([]string, len(m.Secrets))
	for i, secret := range m.Secrets {
		standard[i] = signStandard(secret, id, timestamp, body)
	}
	set(h, "webhook-signature", strings.Join(standard, " "))
	switch m.Endpoint.Signature {
	case wallet.SignatureLava:
		h.Set("X-Webhook-Id", id)
		h.Set("X-Webhook-Timestamp", timestamp)
		setEach(h, "X-Webhook-Signature", m.Secrets, func(secret string) string { return signLava(secret, body) })
	case wallet.SignatureLago:
		h.Set("X-Lago-Signature-Algorithm", "hmac")
		h.Set("X-Lago-Unique-Key", m.DeliveryID.String())
		setEach(h, "X-Lago-Signature", m.Secrets, func(secret string) string { return signLago(secret, body) })
	case wallet.SignatureStandard:
	}
	return h
}

// set stores a name in lower case, as the specification writes it. Header.Set would
// change it.
func set(h http.Header, name, value string) { h[name] = []string{value} }

func setEach(h http.Header, name string, secrets []string, sign func(secret string) string) {
	for i, secret := range secrets {
		if i > 0 {
			name += "-Previous"
		}
		h.Set(name, sign(secret))
	}
}

// signStandard returns the signature of the Standard Webhooks specification. The
// key is the decoded base64 text of the secret.
func signStandard(secret, id, timestamp string, body []byte) string {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		key = []byte(secret) // not created by us; the other dialects use it as text too
	}
	signed := append([]byte(id+"."+timestamp+"."), body...)
	return "v1," + base64.StdEncoding.EncodeToString(mac(key, signed))
}

// signLava returns Lava's signature. The key is the secret as text. Only the body
// is signed.
func signLava(secret string, body []byte) string {
	return hex.EncodeToString(mac([]byte(secret), body))
}

// signLago returns Lago's signature.
func signLago(secret string, body []byte) string {
	return base64.StdEncoding.EncodeToString(mac([]byte(secret), body))
}

func mac(key, message []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(message)
	return h.Sum(nil)
}
