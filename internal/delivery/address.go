package delivery

import (
	"net"
	"net/netip"
	"syscall"
)

// refusedAddressError means that an endpoint's address is not public.
type refusedAddressError struct{}

// Error implements error.
func (*refusedAddressError) Error() string {
	return "the address is in a private network, which is not allowed"
}

// refusePrivate is a net.Dialer's Control function. It checks the resolved address
// right before the connection is opened. A name that resolves to another address
// each time therefore cannot get around the check.
func refusePrivate(_, address string, _ syscall.RawConn) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return &refusedAddressError{}
	}
	if ip := net.ParseIP(host); ip == nil || !public(ip) { // an address with a zone is link-local, and ParseIP returns nil for it
		return &refusedAddressError{}
	}
	return nil
}

// special are further ranges without public hosts. Some of them embed IPv4
// addresses, which would not be checked.
var special = prefixes(
	"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15",
	"198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
	"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
	"5f00::/16", "fec0::/10",
)

func prefixes(list ...string) []netip.Prefix {
	all := make([]netip.Prefix, len(list))
	for i, s := range list {
		all[i] = netip.MustParsePrefix(s)
	}
	return all
}

// public reports whether an address can belong to a host on the internet.
func public(ip net.IP) bool {
	a, ok := netip.AddrFromSlice(ip)
	if !ok {
		return false
	}
	a = a.Unmap()
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	for _, p := range special {
		if p.Contains(a) {
			return false
		}
	}
	return true
}
