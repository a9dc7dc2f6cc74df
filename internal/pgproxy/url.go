package pgproxy

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// StartURL starts a proxy for the server of a DATABASE_URL, which may have either
// of the forms that libpq takes, and returns the URL of the database through the
// proxy. Of several hosts the first one counts.
func StartURL(ctx context.Context, databaseURL string) (p *Proxy, proxied string, err error) {
	config, err := pgconn.ParseConfig(databaseURL)
	if err != nil {
		return nil, "", fmt.Errorf("pgproxy: %w", err)
	}
	upstream := net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port)))
	if strings.HasPrefix(config.Host, "/") {
		_, upstream = pgconn.NetworkAddress(config.Host, config.Port)
	}
	if p, err = Start(ctx, upstream); err != nil {
		return nil, "", err
	}
	return p, URL(databaseURL, p), nil
}

// URL returns a DATABASE_URL with the proxy as its host. TLS is turned off in it,
// because the proxy has to read what it relays.
func URL(databaseURL string, p *Proxy) string {
	u, err := url.Parse(databaseURL)
	if err != nil || !strings.HasPrefix(u.Scheme, "postgres") {
		host, port, _ := net.SplitHostPort(p.Addr()) // the address of a listener
		return databaseURL + " host=" + host + " port=" + port + " sslmode=disable"
	}
	u.Host = p.Addr()
	q := u.Query()
	for _, key := range []string{"host", "hostaddr", "port"} {
		q.Del(key)
	}
	q.Set("sslmode", "disable")
	u.RawQuery = q.Encode()
	return u.String()
}
