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

// handler answers a request of a user who is logged in and has the role of the route.
type handler func(r *request) error

// request is a request of a user who is logged in.
type request struct {
	echo.Context
	dashboard *Dashboard
	user      postgres.User
	mode      wallet.Mode // empty on pages without a mode
	csrf      string
	now       time.Time
}

const requestKey = "dashboard"

func (r *request) ctx() context.Context { return r.Request().Context() }

// path returns the path of a page in the request's mode.
func (r *request) path(suffix string) string {
	return "/admin/" + string(r.mode) + suffix
}

// page returns a handler that calls h for users whose role includes least. It redirects
// users who are not logged in to the login form. A request that writes must carry the
// session's token and must not come from another site.
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
				"This requires the role "+string(least)+". Your role is "+string(r.user.Role)+".")
		}
		if c.Request().Method != http.MethodGet && c.Request().Method != http.MethodHead {
			if err := d.checkOrigin(c, r.csrf); err != nil {
				return err
			}
		}
		return h(r)
	}
}

// identify returns a request with the user who is logged in. It returns nil if the session
// is empty, began before the last change of the password, or belongs to a disabled user.
func (d *Dashboard) identify(c echo.Context) (*request, error) {
	ctx, err := d.loadSession(c)
	if err != nil {
		return nil, err
	}
	s, ok := d.session(ctx)
	if !ok {
		return nil, nil //nolint:nilnil // not being logged in is not an error
	}
	u, err := postgres.GetUser(ctx, d.Pool, s.userID)
	if wallet.HasCode(err, wallet.CodeNotFound) {
		return nil, nil //nolint:nilnil // not being logged in is not an error
	}
	if err != nil {
		return nil, err
	}
	if u.DisabledAt != nil || !u.PasswordChangedAt.Equal(s.passwordChangedAt) {
		return nil, nil //nolint:nilnil // not being logged in is not an error
	}
	return &request{Context: c, dashboard: d, user: u, csrf: s.csrf, now: d.Now()}, nil
}

func (d *Dashboard) askForLogin(c echo.Context) error {
	if c.Request().Method != http.MethodGet && c.Request().Method != http.MethodHead {
		return refuse(http.StatusUnauthorized, "Not logged in", "Your session has ended. Log in and try again.")
	}
	if c.Request().Header.Get("Accept") == "text/event-stream" {
		return c.NoContent(http.StatusNoContent) // stops an EventSource from reconnecting
	}
	target := "/admin/login"
	if next := c.Request().URL.RequestURI(); next != "/admin" && next != "/admin/" {
		target += "?next=" + url.QueryEscape(next)
	}
	return c.Redirect(http.StatusSeeOther, target)
}

// maxForm is the maximum size of a form in bytes. It has room for a thousand ids and a
// reason.
const maxForm = 64 << 10

// checkOrigin returns an error if a write does not carry the token, or if the browser
// reports that the request comes from another site.
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
		return refuse(http.StatusForbidden, title, "The form's token is missing or has expired. Go back, reload the page and try again.")
	}
	return nil
}

// home answers GET /admin. It redirects to the mode of the last page that the browser
// showed.
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
