package dashboard_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/dashboard"
	"github.com/fundrail/fundrail/internal/postgres"
)

func TestLogin(t *testing.T) {
	t.Parallel()

	t.Run("AdminRedirectsToTheForm", func(t *testing.T) {
		t.Parallel()

		c := setup(t).client(t)

		r := c.get("/admin/test/payments?status=failed")

		require.Equal(t, http.StatusSeeOther, r.status)
		require.Equal(t, "/admin/login?next="+url.QueryEscape("/admin/test/payments?status=failed"), r.header.Get("Location"))
		require.Contains(t, c.get("/admin/login").body, `<form method="post" action="/admin/login">`)
	})

	t.Run("CorrectPassword", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		c := b.client(t)

		r := c.login("VIEWER@fundrail.test", password)

		require.Equal(t, http.StatusSeeOther, r.status)
		require.Equal(t, "/admin", r.header.Get("Location"))
		require.Equal(t, http.StatusOK, c.get("/admin/test").status)
		u, err := postgres.GetUser(t.Context(), b.pool, b.users[postgres.RoleViewer].ID)
		require.NoError(t, err)
		require.WithinDuration(t, b.now, *u.LastLoginAt, 0)
	})

	t.Run("WrongPasswordAndUnknownUserGetTheSameAnswer", func(t *testing.T) {
		t.Parallel()

		c := setup(t).client(t)

		wrong := c.login("viewer@fundrail.test", "wrong horse battery")
		unknown := c.login("unknown@fundrail.test", password)

		require.Equal(t, http.StatusUnauthorized, wrong.status)
		require.Equal(t, http.StatusUnauthorized, unknown.status)
		require.Contains(t, wrong.body, "E-mail or password is wrong.")
		require.Contains(t, unknown.body, "E-mail or password is wrong.")
		require.Equal(t, http.StatusSeeOther, c.get("/admin/test").status)
	})

	t.Run("RequiresTheFormToken", func(t *testing.T) {
		t.Parallel()

		c := setup(t).client(t)
		c.get("/admin/login")

		r := c.send(http.MethodPost, "/admin/login", url.Values{"email": {"viewer@fundrail.test"}, "password": {password}}, nil)

		require.Equal(t, http.StatusForbidden, r.status)
	})

	t.Run("RedirectsOnlyToTheDashboard", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		for next, want := range map[string]string{
			"/admin/test/payments?status=open": "/admin/test/payments?status=open",
			"https://evil.example/admin/":      "/admin",
			"//evil.example/admin/":            "/admin",
			"/admin/../../evil":                "/admin",
			"/admin/\\evil.example":            "/admin",
		} {
			c := b.client(t)
			form := url.Values{
				"csrf": {token(t, c.get("/admin/login").body)}, "email": {"viewer@fundrail.test"}, "password": {password}, "next": {next},
			}
			r := c.send(http.MethodPost, "/admin/login", form, nil)
			require.Equal(t, want, r.header.Get("Location"), next)
		}
	})

	t.Run("CookieAttributes", func(t *testing.T) {
		t.Parallel()

		c := setup(t, func(o *dashboard.Config) { o.PublicURL = "https://fundrail.example" }).client(t)
		form := url.Values{"email": {"viewer@fundrail.test"}, "password": {password}}
		page := c.get("/admin/login")
		form.Set("csrf", token(t, page.body))
		cookie, _, _ := strings.Cut(page.header.Get("Set-Cookie"), ";")

		// The test's client does not send a secure cookie over http, so the test sends it.
		r := c.send(http.MethodPost, "/admin/login", form, http.Header{"Cookie": {cookie}})

		require.Equal(t, http.StatusSeeOther, r.status, r.body)
		require.Regexp(t, `^__Secure-fundrail_session=\S+; Path=/admin; Expires=[^;]+; Max-Age=\d+; HttpOnly; Secure; SameSite=Lax$`, r.header.Get("Set-Cookie"))
	})

	t.Run("TokenIsStoredHashed", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		c := b.as(t, postgres.RoleViewer)
		at, err := url.Parse(b.url + "/admin")
		require.NoError(t, err)
		for _, cookie := range c.http.Jar.Cookies(at) {
			var stored bool
			require.NoError(t, b.pool.QueryRow(t.Context(), `select exists (select from sessions where token = $1)`, cookie.Value).Scan(&stored))
			require.False(t, stored)
		}
	})
}

func TestSessionEnds(t *testing.T) {
	t.Parallel()

	for name, end := range map[string]func(t *testing.T, b *testBundle, c *client){
		"OnPasswordChange": func(t *testing.T, b *testBundle, _ *client) {
			t.Helper()
			hash, err := passwordHash()
			require.NoError(t, err)
			_, err = postgres.SetPassword(t.Context(), b.pool, "operator@fundrail.test", hash, b.now.Add(time.Second))
			require.NoError(t, err)
		},
		"OnDisable": func(t *testing.T, b *testBundle, _ *client) {
			t.Helper()
			_, err := postgres.DisableUser(t.Context(), b.pool, "operator@fundrail.test", b.now)
			require.NoError(t, err)
		},
		"OnLogout": func(t *testing.T, _ *testBundle, c *client) {
			t.Helper()
			require.Equal(t, http.StatusSeeOther, c.post("/admin/logout", nil).status)
		},
		"OnDeletion": func(t *testing.T, b *testBundle, _ *client) {
			t.Helper()
			require.NoError(t, postgres.DeleteSessions(t.Context(), b.pool, time.Now().Add(13*time.Hour)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			b := setup(t)
			c := b.as(t, postgres.RoleOperator)
			require.Equal(t, http.StatusOK, c.get("/admin/test").status)

			end(t, b, c)

			require.Equal(t, http.StatusSeeOther, c.get("/admin/test").status)
			require.Equal(t, http.StatusUnauthorized, c.send(http.MethodPost, "/admin/test/queues/charge/pause", url.Values{}, nil).status)
		})
	}
}

func TestLoginIsThrottled(t *testing.T) {
	t.Parallel()

	b := setup(t)
	c := b.client(t)
	const free = 5
	for range free {
		require.Equal(t, http.StatusUnauthorized, c.login("admin@fundrail.test", "wrong horse battery").status)
	}

	blocked := c.login("admin@fundrail.test", password)
	require.Equal(t, http.StatusTooManyRequests, blocked.status, "the correct password is refused too")
	require.Equal(t, "2", blocked.header.Get("Retry-After"))
	require.Equal(t, http.StatusSeeOther, b.client(t).login("viewer@fundrail.test", password).status, "other users may log in")

	b.advance(2 * time.Second)
	require.Equal(t, http.StatusUnauthorized, c.login("admin@fundrail.test", "wrong horse battery").status)
	b.advance(time.Second)
	require.Equal(t, http.StatusTooManyRequests, c.login("admin@fundrail.test", password).status, "a failure doubles the wait")

	b.advance(10 * time.Second)
	require.Equal(t, http.StatusSeeOther, c.login("admin@fundrail.test", password).status)
}

func TestAddressIsThrottled(t *testing.T) {
	t.Parallel()

	b := setup(t)
	c := b.client(t)
	const free = 20
	for i := range free {
		require.Equal(t, http.StatusUnauthorized, c.login(strings.Repeat("x", i+1)+"@fundrail.test", "wrong").status)
	}
	require.Equal(t, http.StatusTooManyRequests, c.login("viewer@fundrail.test", password).status)

	// The address that a client claims is ignored.
	form := url.Values{"csrf": {token(t, c.get("/admin/login").body)}, "email": {"viewer@fundrail.test"}, "password": {password}}
	r := c.send(http.MethodPost, "/admin/login", form, http.Header{"X-Forwarded-For": {"203.0.113.9"}})
	require.Equal(t, http.StatusTooManyRequests, r.status)
}

func TestPassword(t *testing.T) {
	t.Parallel()

	first, err := dashboard.HashPassword(password)
	require.NoError(t, err)
	second, err := dashboard.HashPassword(password)
	require.NoError(t, err)
	require.NotEqual(t, first, second, "each hash has its own salt")
	require.Contains(t, first, "$argon2id$v=19$m=19456,t=2,p=1$")
	for given, want := range map[string]bool{password: true, password + " ": false, "": false} {
		right, err := dashboard.CheckPassword(first, given)
		require.NoError(t, err)
		require.Equal(t, want, right, given)
	}
	for _, hash := range []string{
		"", "plain", "$argon2i$v=19$m=1,t=1,p=1$AAAA$AAAA", "$argon2id$v=19$m=x$AAAA$AAAA", "$argon2id$v=18$m=1,t=1,p=1$AAAA$AAAA", "$argon2id$v=19$m=1,t=1,p=1$AAAA$AAAA",
		"$argon2id$v=19$m=19456,t=0,p=1$U94xdb49fzDhlgAVvYOJcw$jYoLjl/pqaAXaJjnmvHgmDtLLV8W0wfUivAtDGhy6Rk",
	} {
		right, err := dashboard.CheckPassword(hash, password)
		require.Error(t, err, hash)
		require.False(t, right)
	}
	// The first versions stored this hash. They did not use the library.
	right, err := dashboard.CheckPassword(
		"$argon2id$v=19$m=19456,t=2,p=1$U94xdb49fzDhlgAVvYOJcw$jYoLjl/pqaAXaJjnmvHgmDtLLV8W0wfUivAtDGhy6Rk", "correct horse battery staple")
	require.NoError(t, err)
	require.True(t, right)
	for _, bad := range []string{"", "short", strings.Repeat("x", 2000)} {
		_, err := dashboard.HashPassword(bad)
		require.ErrorIs(t, err, dashboard.ErrPasswordLength)
	}
}
