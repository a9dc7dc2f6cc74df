package config

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// Edge is what stands between callers and the service: its own TLS, or proxies.
type Edge struct {
	// TLSCertFile and TLSKeyFile are in PEM, and read again when they change.
	TLSCertFile string `name:"tls-cert-file" env:"TLS_CERT_FILE" group:"Settings" placeholder:"PATH" help:"Certificate chain to answer over TLS with; plain HTTP unless given."`
	TLSKeyFile  string `name:"tls-key-file" env:"TLS_KEY_FILE" group:"Settings" placeholder:"PATH" help:"Private key of the certificate."`
	// TrustedProxies are addresses and networks; Proxies reads them.
	TrustedProxies []string `name:"trusted-proxies" env:"TRUSTED_PROXIES" group:"Settings" placeholder:"10.0.0.0/8,…" help:"Networks of the proxies whose X-Forwarded-For and X-Forwarded-Proto are believed; nobody's unless given."`
}

// TLS tells whether the service answers over TLS by itself.
func (e Edge) TLS() bool { return e.TLSCertFile != "" }

// Check reports a certificate that cannot be served and networks that are none.
func (e Edge) Check() error {
	var problems []error
	switch {
	case (e.TLSCertFile == "") != (e.TLSKeyFile == ""):
		problems = append(problems, errors.New("TLS_CERT_FILE and TLS_KEY_FILE need each other"))
	case e.TLS():
		if _, err := tls.LoadX509KeyPair(e.TLSCertFile, e.TLSKeyFile); err != nil {
			problems = append(problems, fmt.Errorf("TLS_CERT_FILE and TLS_KEY_FILE: %w", err))
		}
	}
	_, err := e.Proxies()
	return errors.Join(append(problems, err)...)
}

// Proxies are the networks of the proxies to believe. An address is a network of
// its own.
func (e Edge) Proxies() ([]netip.Prefix, error) {
	var list []netip.Prefix
	for _, text := range e.TrustedProxies {
		text = strings.TrimSpace(text)
		network, err := netip.ParsePrefix(text)
		if addr, addrErr := netip.ParseAddr(text); addrErr == nil {
			network, err = addr.Prefix(addr.BitLen())
		}
		if err != nil {
			return nil, fmt.Errorf("TRUSTED_PROXIES must be networks such as 10.0.0.0/8, not %q", text)
		}
		list = append(list, network)
	}
	return list, nil
}

// PublicAddress is HTTP's, with https where the service answers over TLS.
func (s Settings) PublicAddress(listener net.Addr) string {
	address := s.HTTP.PublicAddress(listener)
	if s.PublicURL == "" && s.TLS() {
		address = "https" + strings.TrimPrefix(address, "http")
	}
	return address
}
