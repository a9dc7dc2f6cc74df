package api

import (
	"net"
	"net/netip"
	"strings"

	"github.com/labstack/echo/v4"
)

// TrustProxies has e believe what proxies in these networks say of where a request
// comes from and whether it came over TLS. Without it nobody is believed. It is
// called before the first request.
func TrustProxies(e *echo.Echo, proxies []netip.Prefix) {
	if len(proxies) == 0 {
		return
	}
	trust := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, p := range proxies {
		p = p.Masked()
		trust = append(trust, echo.TrustIPRange(&net.IPNet{
			IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen()),
		}))
	}
	e.IPExtractor = echo.ExtractIPFromXFFHeader(trust...)
	e.Pre(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			c.Set(keyForwardedTLS, forwardedTLS(c, proxies))
			return next(c)
		}
	})
}

// keyForwardedTLS keeps whether a proxy that is believed was asked over TLS.
const keyForwardedTLS = "forwarded_tls"

func forwardedTLS(c echo.Context, proxies []netip.Prefix) bool {
	peer, err := netip.ParseAddrPort(c.Request().RemoteAddr)
	if err != nil {
		return false
	}
	for _, p := range proxies {
		if p.Contains(peer.Addr().Unmap()) {
			// The nearest proxy comes last, and it is the one that is believed.
			said := c.Request().Header.Values(echo.HeaderXForwardedProto)
			last := strings.Split(strings.Join(said, ","), ",")
			return strings.EqualFold(strings.TrimSpace(last[len(last)-1]), "https")
		}
	}
	return false
}

// overTLS tells whether nobody between the caller and us, or the proxy before us,
// could read the request.
func overTLS(c echo.Context) bool {
	forwarded, _ := c.Get(keyForwardedTLS).(bool)
	return forwarded || c.IsTLS()
}
