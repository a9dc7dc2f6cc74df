package delivery

import (
	"net"
	"net/netip"
	"syscall"
)

// refusedAddressError reports an endpoint whose name leads to where merchants have
// no business.
type refusedAddressError struct{}

// Error implements error.
func (*refusedAddressError) Error() string {
	return "the address is in a private network, where nothing is delivered to"
}

// refusePrivate is asked with the address that a name was resolved to, right before
// the connection is opened: a name that resolves to something else each time it is
// asked gains nothing.
func refusePrivate(_, address string, _ syscall.RawConn) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return &refusedAddressError{}
	}
	if ip := net.ParseIP(host); ip == nil || !public(ip) { // a zone makes it link-local, and no IP
		return &refusedAddressError{}
	}
	return nil
}

// special are ranges that are not private by name and lead to no public host
// either, or hold addresses of IPv4 that would go unchecked.
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

// public tells whether an address can be that of a host on the internet.
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
