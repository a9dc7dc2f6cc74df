package config

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// Edge configures TLS and the proxies in front of the service.
type Edge struct {
	// TLSCertFile and TLSKeyFile are PEM files, which are read again when they change.
	TLSCertFile string `name:"tls-cert-file" env:"TLS_CERT_FILE" group:"Settings" placeholder:"PATH" help:"Certificate chain for TLS. Default: plain HTTP."`
	TLSKeyFile  string `name:"tls-key-file" env:"TLS_KEY_FILE" group:"Settings" placeholder:"PATH" help:"Private key of the certificate."`
	// TrustedProxies are addresses and networks, which Proxies parses.
	TrustedProxies []string `name:"trusted-proxies" env:"TRUSTED_PROXIES" group:"Settings" placeholder:"10.0.0.0/8,…" help:"Networks of proxies whose X-Forwarded-For and X-Forwarded-Proto are trusted. Default: none."`
}

// TLS reports whether the service itself serves TLS.
func (e Edge) TLS() bool { return e.TLSCertFile != "" }

// Check reports a certificate that cannot be loaded and invalid networks.
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

// Proxies returns the networks of the trusted proxies. An address counts as a network.
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

// PublicAddress is HTTP.PublicAddress, with https if the service itself serves TLS.
func (s Settings) PublicAddress(listener net.Addr) string {
	address := s.HTTP.PublicAddress(listener)
	if s.PublicURL == "" && s.TLS() {
		address = "https" + strings.TrimPrefix(address, "http")
	}
	return address
}
