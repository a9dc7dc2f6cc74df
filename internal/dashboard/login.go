package dashboard

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// The numbers of failed logins of an account and of an IP address before logins are
// blocked; see postgres.NoteLoginFailure. The limit of an address is higher, because many
// users may share one.
const (
	freeFailuresOfAccount = 5
	freeFailuresOfAddress = 20
)

// loginCookie is the name of the cookie with the token of the login form. The token is not
// in a session, because opening the form does not store one.
const loginCookie = "fundrail_login"

type loginPage struct {
	Email, Next, Token, Problem string
}

func (d *Dashboard) showLogin(c echo.Context) error {
	if r, err := d.identify(c); err == nil && r != nil {
		return c.Redirect(http.StatusSeeOther, "/admin")
	}
	return d.writeLogin(c, http.StatusOK, loginPage{Next: c.QueryParam("next")})
}

func (d *Dashboard) writeLogin(c echo.Context, status int, p loginPage) error {
	p.Token = rand.Text()
	c.SetCookie(&http.Cookie{ //nolint:gosec // Secure is set if the public URL has https
		Name: loginCookie, Value: p.Token, Path: "/admin/login", HttpOnly: true, Secure: d.secure(),
		SameSite: http.SameSiteStrictMode,
	})
	v := &view{Title: "Log in", Data: p, request: &request{Context: c, dashboard: d, now: d.Now()}}
	return v.render(status, "login")
}

// login answers POST /admin/login. The time and the text of a refusal do not depend on
// whether the account exists.
func (d *Dashboard) login(c echo.Context) error {
	token := ""
	if cookie, err := c.Cookie(loginCookie); err == nil {
		token = cookie.Value
	}
	if err := d.checkOrigin(c, token); err != nil {
		return err
	}
	ctx, err := d.loadSession(c)
	if err != nil {
		return err
	}
	form := c.Request().PostForm
	page := loginPage{Email: strings.TrimSpace(form.Get("email")), Next: form.Get("next")}
	subjects := []string{accountSubject(page.Email), addressSubject(c)}
	until, err := postgres.LoginBlockedUntil(ctx, d.Pool, subjects, d.Now())
	if err != nil {
		return err
	}
	if !until.IsZero() {
		wait := until.Sub(d.Now()).Truncate(time.Second) + time.Second
		c.Response().Header().Set(echo.HeaderRetryAfter, seconds(wait))
		page.Problem = "Too many attempts. Try again in " + duration(wait) + "."
		return d.writeLogin(c, http.StatusTooManyRequests, page)
	}
	u, ok, err := d.authenticate(c, page.Email, form.Get("password"))
	if err != nil {
		return err
	}
	if !ok {
		if err := postgres.NoteLoginFailure(ctx, d.Pool, subjects,
			[]int32{freeFailuresOfAccount, freeFailuresOfAddress}, d.Now()); err != nil {
			return err
		}
		d.Log.WarnContext(ctx, "dashboard login refused", slog.String("address", clientAddress(c)))
		page.Problem = "E-mail or password is wrong."
		return d.writeLogin(c, http.StatusUnauthorized, page)
	}
	if err := postgres.ForgetLoginFailures(ctx, d.Pool, subjects[:1]); err != nil {
		return err
	}
	if err := d.beginSession(c, u); err != nil {
		return err
	}
	d.Log.InfoContext(ctx, "dashboard login",
		slog.String("user_id", u.ID.String()), slog.String("role", string(u.Role)), slog.String("address", clientAddress(c)))
	return c.Redirect(http.StatusSeeOther, ownPath(page.Next))
}

// noUserHash is the hash that is checked for an unknown user, so that the check takes the
// same time.
var noUserHash = sync.OnceValues(func() (string, error) { return HashPassword(rand.Text()) })

func (d *Dashboard) authenticate(c echo.Context, email, password string) (postgres.User, bool, error) {
	ctx := c.Request().Context()
	u, err := postgres.FindUser(ctx, d.Pool, email)
	known := err == nil && u.DisabledAt == nil
	if err != nil && !wallet.HasCode(err, wallet.CodeNotFound) {
		return u, false, err
	}
	hash := u.PasswordHash
	if !known {
		if hash, err = noUserHash(); err != nil {
			return u, false, err
		}
	}
	if len(password) > maxPasswordLength {
		return u, false, nil
	}
	select {
	case d.hashing <- struct{}{}:
		defer func() { <-d.hashing }()
	case <-ctx.Done():
		return u, false, ctx.Err()
	}
	right, err := CheckPassword(hash, password)
	return u, known && right, err
}

func accountSubject(email string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(email)))
	return "account " + hex.EncodeToString(sum[:])
}

// addressSubject identifies the network that a login comes from: an IPv4 address, or the
// /64 prefix of an IPv6 address, because a household has a whole one.
func addressSubject(c echo.Context) string {
	const prefixBits = 64
	addr, err := netip.ParseAddr(clientAddress(c))
	if err != nil {
		return "address unknown"
	}
	addr = addr.Unmap()
	if addr.Is6() {
		if p, err := addr.Prefix(prefixBits); err == nil {
			return "address " + p.String()
		}
	}
	return "address " + addr.String()
}

// clientAddress returns the IP address of the client. It uses the headers of proxies only
// if the server is configured with trusted proxies.
func clientAddress(c echo.Context) string {
	if c.Echo().IPExtractor != nil {
		return c.RealIP()
	}
	host, _, err := net.SplitHostPort(c.Request().RemoteAddr)
	if err != nil {
		return ""
	}
	return host
}

// ownPath returns next if it is a path of the dashboard, else /admin. It prevents redirects
// to other sites.
func ownPath(next string) string {
	if next == "/admin" || strings.HasPrefix(next, "/admin/") && !strings.ContainsAny(next, "\\\r\n") && !strings.Contains(next, "..") {
		return next
	}
	return "/admin"
}
