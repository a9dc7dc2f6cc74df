package worker_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/worker"
)

// writeCertificate writes a certificate for 127.0.0.1 with the serial number.
func writeCertificate(t *testing.T, certFile, keyFile string, serial int64) {
	t.Helper()

	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	cert, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(serial), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}, &x509.Certificate{SerialNumber: big.NewInt(serial)}, &key.PublicKey, key)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	for path, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: cert}, keyFile: {Type: "PRIVATE KEY", Bytes: der},
	} {
		require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(block), 0o600))
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeCertificate(t, certFile, keyFile, 1)
	p := setup(t).start(t, func(o *worker.Options) {
		o.Settings.TLSCertFile, o.Settings.TLSKeyFile = certFile, keyFile
	})
	addr := strings.TrimPrefix(p.url, "http://")
	// served returns the serial number of the certificate that new connections get.
	served := func() int64 {
		conn, err := new(tls.Dialer).DialContext(t.Context(), "tcp", addr)
		if err == nil {
			_ = conn.Close()
		}
		var unknown x509.UnknownAuthorityError
		require.ErrorAs(t, err, &unknown)
		return unknown.Cert.SerialNumber.Int64()
	}
	pool := func() *x509.CertPool {
		roots := x509.NewCertPool()
		text, err := os.ReadFile(certFile)
		require.NoError(t, err)
		require.True(t, roots.AppendCertsFromPEM(text))
		return roots
	}

	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool()}, ForceAttemptHTTP2: true}}
	t.Cleanup(client.CloseIdleConnections)
	res, err := client.Get("https://" + addr + "/healthz")
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Equal(t, "max-age=31536000", res.Header.Get("Strict-Transport-Security"))
	require.Equal(t, 2, res.ProtoMajor)

	// Plain HTTP and old TLS versions are refused.
	require.Equal(t, http.StatusBadRequest, getBy(t, http.DefaultClient, "http://"+addr+"/healthz"))
	old := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS10, RootCAs: pool(), MaxVersion: tls.VersionTLS11}}}
	_, err = old.Get("https://" + addr + "/healthz") //nolint:bodyclose // fails before an answer
	require.ErrorContains(t, err, "protocol version")

	// A new certificate is used without a restart, and an invalid one is not.
	writeCertificate(t, certFile, keyFile, 2)
	require.Eventually(t, func() bool { return served() == 2 }, 20*time.Second, 50*time.Millisecond)
	require.NoError(t, os.WriteFile(keyFile, []byte("rubbish"), 0o600))
	later := time.Now().Add(2 * time.Second)
	require.Eventually(t, func() bool { return served() == 2 && time.Now().After(later) }, 20*time.Second, 50*time.Millisecond)
	writeCertificate(t, certFile, keyFile, 3)
	require.Eventually(t, func() bool { return served() == 3 }, 20*time.Second, 50*time.Millisecond)
}
