package dashboard

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"net/http"
	"time"

	"github.com/alexedwards/scs/pgxstore"
	"github.com/alexedwards/scs/v2"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/labstack/echo/v4"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// sessionLife is how long a login lasts. It covers a working day.
const sessionLife = 12 * time.Hour

// modeCookie is the name of the cookie with the mode of the last page. It only selects the
// start page and grants no access.
const modeCookie = "fundrail_mode"

func newSessions(pool *pgxpool.Pool, secure bool) *scs.SessionManager {
	m := scs.New()
	m.Store = pgxstore.NewWithCleanupInterval(pool, 0) // beginSession deletes expired sessions
	m.HashTokenInStore = true
	m.Lifetime = sessionLife
	m.Cookie.Name = "fundrail_session"
	m.Cookie.Path = "/admin"
	m.Cookie.HttpOnly = true
	m.Cookie.SameSite = http.SameSiteLaxMode
	m.Cookie.Secure = secure
	if secure {
		m.Cookie.Name = "__Secure-fundrail_session"
	}
	return m
}

// The keys of a session's values.
const (
	keyCSRF            = "csrf"
	keyPasswordChanged = "password_changed_at"
	keyUser            = "user_id"
)

type session struct {
	userID            wallet.ID
	passwordChangedAt time.Time
	csrf              string
}

// loadSession adds the session of the request's cookie to the request's context, and
// returns that context. Without a valid cookie the session is empty and not stored.
func (d *Dashboard) loadSession(c echo.Context) (context.Context, error) {
	token := ""
	if cookie, err := c.Cookie(d.sessions.Cookie.Name); err == nil {
		token = cookie.Value
	}
	ctx, err := d.sessions.Load(c.Request().Context(), token)
	if err != nil {
		return nil, err
	}
	c.SetRequest(c.Request().WithContext(ctx))
	return ctx, nil
}

func (d *Dashboard) session(ctx context.Context) (session, bool) {
	id, err := uuid.Parse(d.sessions.GetString(ctx, keyUser))
	if err != nil {
		return session{}, false
	}
	return session{
		userID:            id,
		passwordChangedAt: time.UnixMicro(d.sessions.GetInt64(ctx, keyPasswordChanged)),
		csrf:              d.sessions.GetString(ctx, keyCSRF),
	}, true
}

// beginSession logs a user in. It renews the session's token, so that a token that an
// attacker has planted in the browser gives no access.
func (d *Dashboard) beginSession(c echo.Context, u postgres.User) error {
	ctx := c.Request().Context()
	if err := d.sessions.RenewToken(ctx); err != nil {
		return err
	}
	d.sessions.Put(ctx, keyUser, u.ID.String())
	d.sessions.Put(ctx, keyPasswordChanged, u.PasswordChangedAt.UnixMicro())
	d.sessions.Put(ctx, keyCSRF, rand.Text())
	token, expiry, err := d.sessions.Commit(ctx)
	if err != nil {
		return err
	}
	d.sessions.WriteSessionCookie(ctx, c.Response(), token, expiry)
	return errors.Join(
		postgres.NoteLogin(ctx, d.Pool, u.ID, d.Now()),
		postgres.DeleteSessions(ctx, d.Pool, d.Now()))
}

// logout answers POST /admin/logout. It ends the session in the browser and the database.
func (d *Dashboard) logout(r *request) error {
	if err := d.sessions.Destroy(r.ctx()); err != nil {
		return err
	}
	d.sessions.WriteSessionCookie(r.ctx(), r.Response(), "", time.Time{})
	return r.Redirect(http.StatusSeeOther, "/admin/login")
}

func sameToken(given, want string) bool {
	return want != "" && subtle.ConstantTimeCompare([]byte(given), []byte(want)) == 1
}
