package webhooks

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/wallet"
)

// FuzzSignature adds arbitrary text before and after a good signature, and around a
// bad one. An accepted header must contain a valid signature, whatever else it
// contains. The good signature alone must be accepted.
func FuzzSignature(f *testing.F) {
	h := &Handler{Secrets: map[wallet.Mode][]string{
		wallet.ModeLive: {"whsec_live"}, wallet.ModeTest: {"whsec_old", "whsec_new"},
	}}
	f.Add([]byte(`{"id":"evt_1"}`), "", "", 0, "whsec_new")
	f.Add([]byte(`{"id":"evt_1"}`), "", ",v1=00", 0, "whsec_old")
	f.Add([]byte(`{"id":"evt_1"}`), "v0=00,", "", 299, "whsec_live")
	f.Add([]byte(`{"id":"evt_1"}`), "t=1,", "", 0, "whsec_new")
	f.Add([]byte(`{"id":"evt_1"}`), "", ",t=9999999999", 301, "whsec_new")
	f.Add([]byte{}, "", "", -400, "")
	f.Fuzz(func(t *testing.T, body []byte, before, after string, age int, secret string) {
		at := time.Now().Add(-time.Duration(age) * time.Second)
		header := before + "t=" + strconv.FormatInt(at.Unix(), 10) + ",v1=" + signature(body, strconv.FormatInt(at.Unix(), 10), secret) + after

		mode, ok := h.verify(body, header)

		if ok {
			require.True(t, validSignature(body, header, h.Secrets[mode]), "%s mode: %s", mode, header)
		}
		known := secret == "whsec_live" || secret == "whsec_old" || secret == "whsec_new"
		if before == "" && after == "" && known && age > -250 && age < 250 {
			require.True(t, ok, header)
			require.Equal(t, secret == "whsec_live", mode == wallet.ModeLive)
		}
	})
}

// validSignature parses the header in the simplest way. It reports whether one of
// the secrets signed the body with a timestamp in the header that is at most five
// minutes old.
func validSignature(body []byte, header string, secrets []string) bool {
	const tolerance = 301 // one second more, because a second can pass during the test
	var times, signatures []string
	for part := range strings.SplitSeq(header, ",") {
		name, value, _ := strings.Cut(part, "=")
		switch name {
		case "t":
			times = append(times, value)
		case "v1":
			signatures = append(signatures, value)
		}
	}
	for _, at := range times {
		seconds, err := strconv.ParseInt(at, 10, 64)
		if err != nil || time.Now().Unix()-seconds > tolerance {
			continue
		}
		for _, secret := range secrets {
			for _, s := range signatures {
				if strings.EqualFold(s, signature(body, strconv.FormatInt(seconds, 10), secret)) {
					return true
				}
			}
		}
	}
	return false
}

func signature(body []byte, at, secret string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(at + "."))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}
