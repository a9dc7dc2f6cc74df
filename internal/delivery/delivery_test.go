package delivery

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/wallet"
)

func TestSignLava(t *testing.T) {
	t.Parallel()

	require.Equal(t, "ddd132b6c900a082e2cd098a2b653362fc4fe6645b3370e4213abeeba23fbfc6",
		signLava("whsec_test_secret", []byte(`{"event":"customer.created","data":{}}`)))
}

func TestSignStandard(t *testing.T) {
	t.Parallel()

	// The example is from the specification's libraries.
	require.Equal(t, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
		signStandard("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`)))
}

func TestPublic(t *testing.T) {
	t.Parallel()

	for _, tt := range []struct {
		address string
		want    bool
	}{
		{"93.184.216.34", true},
		{"2606:2800:220:1:248:1893:25c8:1946", true},
		{"0.0.0.0", false},
		{"10.1.2.3", false},
		{"100.64.0.1", false},
		{"127.0.0.1", false},
		{"127.255.255.254", false},
		{"169.254.169.254", false},
		{"172.16.0.1", false},
		{"192.168.1.1", false},
		{"198.18.0.1", false},
		{"224.0.0.1", false},
		{"255.255.255.255", false},
		{"::", false},
		{"::1", false},
		{"::ffff:127.0.0.1", false},
		{"::ffff:10.0.0.1", false},
		{"::7f00:1", false},
		{"64:ff9b::a9fe:a9fe", false},
		{"2002:7f00:1::", false},
		{"fc00::1", false},
		{"fd12::1", false},
		{"fe80::1", false},
		{"fec0::1", false},
		{"ff02::1", false},
	} {
		t.Run(tt.address, func(t *testing.T) {
			t.Parallel()

			require.Equal(t, tt.want, public(net.ParseIP(tt.address)))
		})
	}
}

func message(url string) Message {
	return Message{
		Endpoint: wallet.Endpoint{URL: url, Signature: wallet.SignatureStandard},
		Event:    wallet.MerchantEvent{Type: wallet.DeliveryWalletUpdated, Wallet: &wallet.Wallet{}},
		Now:      time.Unix(1, 0),
		Secrets:  []string{wallet.NewWebhookSecret()},
	}
}

func TestSend(t *testing.T) {
	t.Parallel()

	t.Run("PrivateAddressesAreNotDialed", func(t *testing.T) {
		t.Parallel()

		server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			t.Error("the server was called")
		}))
		t.Cleanup(server.Close)
		// One address is an IP address, the other a name that resolves to it.
		for _, url := range []string{server.URL, strings.Replace(server.URL, "127.0.0.1", "localhost", 1)} {
			status, err := NewSender(Config{}).Send(t.Context(), message(url))

			require.Zero(t, status)
			require.EqualError(t, err, "the address is in a private network, which is not allowed")
		}
	})

	t.Run("RedirectsAreNotFollowed", func(t *testing.T) {
		t.Parallel()

		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/" {
				t.Error("the redirect was followed")
			}
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}))
		t.Cleanup(server.Close)

		status, err := NewSender(Config{AllowPrivate: true}).Send(t.Context(), message(server.URL))

		require.Equal(t, http.StatusTemporaryRedirect, status)
		require.EqualError(t, err, "answered 307 Temporary Redirect")
	})

	t.Run("SlowAnswerIsAnError", func(t *testing.T) {
		t.Parallel()

		done := make(chan struct{})
		server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-done }))
		t.Cleanup(server.Close)
		t.Cleanup(func() { close(done) })

		status, err := NewSender(Config{AllowPrivate: true, Timeout: 50 * time.Millisecond}).Send(t.Context(), message(server.URL+"/?token=hush"))

		require.Zero(t, status)
		require.EqualError(t, err, "no answer in time")
	})

	t.Run("ErrorDoesNotShowTheAddress", func(t *testing.T) {
		t.Parallel()

		server := httptest.NewServer(nil)
		server.Close()

		_, err := NewSender(Config{AllowPrivate: true}).Send(t.Context(), message(server.URL+"/?token=hush"))

		require.ErrorContains(t, err, "refused")
		require.NotContains(t, err.Error(), "hush")
	})
}

func TestCheckURL(t *testing.T) {
	t.Parallel()

	for _, tt := range []struct {
		url          string
		mode         wallet.Mode
		allowPrivate bool
		want         string
	}{
		{url: "https://merchant.example/hook?a=1", mode: wallet.ModeLive},
		{url: "http://merchant.example/hook", mode: wallet.ModeTest},
		{url: "http://127.0.0.1:8080/", mode: wallet.ModeTest, allowPrivate: true},
		{url: "http://merchant.example/hook", mode: wallet.ModeLive, want: "must begin with https:// in live mode"},
		{url: "http://127.0.0.1:8080/", mode: wallet.ModeTest, want: "must not be in a private network"},
		{url: "https://[::1]/", mode: wallet.ModeTest, want: "must not be in a private network"},
		{url: "https://LOCALHOST/", mode: wallet.ModeTest, want: "must not be in a private network"},
		{url: "https://u:p@merchant.example/", mode: wallet.ModeTest, want: "must not hold a user name or password"},
		{url: "ftp://merchant.example/", mode: wallet.ModeTest, want: "must be a URL that begins with https://"},
		{url: "/hook", mode: wallet.ModeTest, want: "must be a URL that begins with https://"},
		{url: "https://merchant.example/" + strings.Repeat("a", 2048), mode: wallet.ModeTest, want: "must be at most 2048 characters"},
	} {
		t.Run(tt.url[:min(len(tt.url), 40)]+"/"+string(tt.mode), func(t *testing.T) {
			t.Parallel()

			err := CheckURL(tt.url, tt.mode, tt.allowPrivate)

			if tt.want == "" {
				require.NoError(t, err)
			} else {
				require.EqualError(t, err, tt.want)
			}
		})
	}
}
