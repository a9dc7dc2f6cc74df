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

// FuzzSignature puts anything before and behind a good signature, and around a bad
// one. What is let in must carry a signature that is worth it, whatever else the
// header says; a good signature alone must be let in.
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
			require.True(t, worthIt(body, header, h.Secrets[mode]), "%s mode: %s", mode, header)
		}
		known := secret == "whsec_live" || secret == "whsec_old" || secret == "whsec_new"
		if before == "" && after == "" && known && age > -250 && age < 250 {
			require.True(t, ok, header)
			require.Equal(t, secret == "whsec_live", mode == wallet.ModeLive)
		}
	})
}

// worthIt reads the header in the plainest way: some time in it, signed together
// with the body by one of the secrets, lies no more than five minutes back.
func worthIt(body []byte, header string, secrets []string) bool {
	const tolerance = 301 // the second in which this is asked may be another one
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
