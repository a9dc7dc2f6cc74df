package dashboard

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/postgres/views"
	"github.com/fundrail/fundrail/internal/wallet"
)

// handler answers a user who has logged in and may do what the route is for.
type handler func(r *request) error

// request is a request of a user who has logged in.
type request struct {
	echo.Context
	dashboard *Dashboard
	user      postgres.User
	mode      wallet.Mode // empty on pages that belong to neither
	csrf      string
	now       time.Time
}

const requestKey = "dashboard"

func (r *request) ctx() context.Context { return r.Request().Context() }

// path is the address of a page in the request's mode.
func (r *request) path(suffix string) string {
	return "/admin/" + string(r.mode) + suffix
}

// page lets h answer users whose role includes least. Who has not logged in is sent
// to the form. A request that writes must also carry the session's token, and come
// from a page of ours.
func (d *Dashboard) page(least postgres.Role, h handler) echo.HandlerFunc {
	return func(c echo.Context) error {
		r, err := d.identify(c)
		if err != nil {
			return err
		}
		if r == nil {
			return d.askForLogin(c)
		}
		c.Set(requestKey, r)
		if mode := c.Param("mode"); mode != "" {
			r.mode = wallet.Mode(mode)
			if r.mode != wallet.ModeLive && r.mode != wallet.ModeTest {
				r.mode = ""
				return errNotFound
			}
		}
		if !r.user.Role.Includes(least) {
			return refuse(http.StatusForbidden, "Not allowed",
				"This takes the role "+string(least)+"; yours is "+string(r.user.Role)+".")
		}
		if c.Request().Method != http.MethodGet && c.Request().Method != http.MethodHead {
			if err := d.checkOrigin(c, r.csrf); err != nil {
				return err
			}
		}
		return h(r)
	}
}

// identify finds out who asks; nil when nobody has logged in, or not since the
// password was changed.
func (d *Dashboard) identify(c echo.Context) (*request, error) {
	ctx, err := d.loadSession(c)
	if err != nil {
		return nil, err
	}
	s, ok := d.session(ctx)
	if !ok {
		return nil, nil //nolint:nilnil // nobody is not an error
	}
	u, err := postgres.GetUser(ctx, d.Pool, s.userID)
	if wallet.HasCode(err, wallet.CodeNotFound) {
		return nil, nil //nolint:nilnil // nobody is not an error
	}
	if err != nil {
		return nil, err
	}
	if u.DisabledAt != nil || !u.PasswordChangedAt.Equal(s.passwordChangedAt) {
		return nil, nil //nolint:nilnil // nobody is not an error
	}
	return &request{Context: c, dashboard: d, user: u, csrf: s.csrf, now: d.Now()}, nil
}

func (d *Dashboard) askForLogin(c echo.Context) error {
	if c.Request().Method != http.MethodGet && c.Request().Method != http.MethodHead {
		return refuse(http.StatusUnauthorized, "Not logged in", "Your session has ended. Log in and try again.")
	}
	if c.Request().Header.Get("Accept") == "text/event-stream" {
		return c.NoContent(http.StatusNoContent) // tells an EventSource to give up
	}
	target := "/admin/login"
	if next := c.Request().URL.RequestURI(); next != "/admin" && next != "/admin/" {
		target += "?next=" + url.QueryEscape(next)
	}
	return c.Redirect(http.StatusSeeOther, target)
}

// maxForm is how large a form may be: a thousand ids and a reason.
const maxForm = 64 << 10

// checkOrigin refuses a write that does not carry the token of the session, or that
// a browser says comes from another site.
func (d *Dashboard) checkOrigin(c echo.Context, token string) error {
	const title = "Refused"
	if err := d.origins.Check(c.Request()); err != nil {
		return refuse(http.StatusForbidden, title, "This request came from another site.")
	}
	c.Request().Body = http.MaxBytesReader(c.Response(), c.Request().Body, maxForm)
	if err := c.Request().ParseForm(); err != nil {
		return refuse(http.StatusBadRequest, title, "The form could not be read.")
	}
	if !sameToken(c.Request().PostForm.Get("csrf"), token) {
		return refuse(http.StatusForbidden, title, "The form's token is missing or old. Go back, reload the page and try again.")
	}
	return nil
}

// home sends a user to the mode that was looked at last.
func (d *Dashboard) home(r *request) error {
	if c, err := r.Cookie(modeCookie); err == nil && (c.Value == string(wallet.ModeLive) || c.Value == string(wallet.ModeTest)) {
		return r.Redirect(http.StatusSeeOther, "/admin/"+c.Value)
	}
	mode, err := views.ModeInUse(r.ctx(), d.Pool)
	if err != nil {
		return err
	}
	return r.Redirect(http.StatusSeeOther, "/admin/"+string(mode))
}
