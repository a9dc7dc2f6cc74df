package api

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// Handler answers a caller who is known.
type Handler func(c echo.Context, caller postgres.Caller) error

// Reads returns a handler for callers whose key has the scope read.
func (s *Server) Reads(h Handler) echo.HandlerFunc {
	return s.authenticated(wallet.ScopeRead, h)
}

// Funds returns a handler for callers whose key has the scope fund. Its requests
// count against the limit of fund requests.
func (s *Server) Funds(h Handler) echo.HandlerFunc {
	return s.authenticated(wallet.ScopeFund, h, s.fundings)
}

// Administers returns a handler for callers whose key has the scope admin.
func (s *Server) Administers(h Handler) echo.HandlerFunc {
	return s.authenticated(wallet.ScopeAdmin, h)
}

// Refunds returns a handler for callers whose key has the scope admin. Its requests
// count against the limit of fund requests.
func (s *Server) Refunds(h Handler) echo.HandlerFunc {
	return s.authenticated(wallet.ScopeAdmin, h, s.fundings)
}

// authenticated calls h for callers whose API key has the scope and who are within
// their limits: the general one, and those of limiters that are not nil. It does not
// read the body.
func (s *Server) authenticated(scope wallet.Scope, h Handler, limiters ...*sharedLimiter) echo.HandlerFunc {
	return func(c echo.Context) error {
		caller, err := s.authenticate(c)
		if err != nil {
			return err
		}
		s.uses.note(caller.APIKeyID, s.Now())
		if !slices.Contains(caller.Scopes, scope) {
			return errInsufficientScope(scope)
		}
		if err := s.admit(c, caller, limiters); err != nil {
			return err
		}
		return h(c, caller)
	}
}

func (s *Server) authenticate(c echo.Context) (postgres.Caller, error) {
	token := ""
	d, _ := dialectOf(c)
	if sent := c.Request().Header.Values(echo.HeaderAuthorization); len(sent) == 1 {
		token = d.Token(sent[0])
	}
	switch {
	case token == "":
		return postgres.Caller{}, errUnauthorized(false)
	case otherKind(token):
		return postgres.Caller{}, errSecretKeyRequired()
	}
	caller, err := s.lookups.callers.Do(c.Request().Context(), token)
	switch {
	case err != nil:
		return postgres.Caller{}, err
	case caller == nil:
		return postgres.Caller{}, errUnauthorized(true)
	case caller.Suspended:
		return postgres.Caller{}, errAccountSuspended()
	}
	return *caller, nil
}

// otherKind reports whether Lava issues such a token for another purpose than the
// API: a spend key, a wallet key, or a forward token, which is an object with a
// secret_key in base64.
func otherKind(token string) bool {
	if strings.HasPrefix(token, "lava_sk_") || strings.HasPrefix(token, "lava_wk_") {
		return true
	}
	text, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(token, "="))
	if err != nil {
		text, err = base64.RawURLEncoding.DecodeString(strings.TrimRight(token, "="))
	}
	if err != nil {
		return false
	}
	var forward map[string]json.RawMessage
	if json.Unmarshal(text, &forward) != nil {
		return false
	}
	_, ok := forward["secret_key"]
	return ok
}
