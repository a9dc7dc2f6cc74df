package api

import (
	"net"
	"net/netip"
	"strings"

	"github.com/labstack/echo/v4"
)

// TrustProxies makes e trust X-Forwarded-For and X-Forwarded-Proto in requests from
// proxies in these networks. Without it they are ignored. It is called before the
// first request.
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

// keyForwardedTLS is the key in the context for whether a trusted proxy received the
// request over TLS.
const keyForwardedTLS = "forwarded_tls"

func forwardedTLS(c echo.Context, proxies []netip.Prefix) bool {
	peer, err := netip.ParseAddrPort(c.Request().RemoteAddr)
	if err != nil {
		return false
	}
	for _, p := range proxies {
		if p.Contains(peer.Addr().Unmap()) {
			// The value of the proxy that called us comes last.
			said := c.Request().Header.Values(echo.HeaderXForwardedProto)
			last := strings.Split(strings.Join(said, ","), ",")
			return strings.EqualFold(strings.TrimSpace(last[len(last)-1]), "https")
		}
	}
	return false
}

// overTLS reports whether the request came over TLS to us, or to a trusted proxy.
func overTLS(c echo.Context) bool {
	forwarded, _ := c.Get(keyForwardedTLS).(bool)
	return forwarded || c.IsTLS()
}
