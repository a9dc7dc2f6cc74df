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

// callerHandler answers a caller who is known.
type callerHandler func(c echo.Context, caller postgres.Caller) error

// authenticated lets h answer callers whose API key has a scope and who are within
// their limits: the general one, and those of limiters that are not nil. Nothing of
// the body has been read by then.
func (s *Server) authenticated(scope wallet.Scope, h callerHandler, limiters ...*sharedLimiter) echo.HandlerFunc {
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

// reads, funds and administers say which scope a route asks for.
func (s *Server) reads(h callerHandler) echo.HandlerFunc {
	return s.authenticated(wallet.ScopeRead, h)
}

func (s *Server) funds(h callerHandler) echo.HandlerFunc {
	return s.authenticated(wallet.ScopeFund, h, s.fundings)
}

func (s *Server) administers(h callerHandler, limiters ...*sharedLimiter) echo.HandlerFunc {
	return s.authenticated(wallet.ScopeAdmin, h, limiters...)
}

func (s *Server) authenticate(c echo.Context) (postgres.Caller, error) {
	token := ""
	if sent := c.Request().Header.Values(echo.HeaderAuthorization); len(sent) == 1 {
		token = dialectOf(c).token(sent[0])
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

// otherKind tells whether a token is one that Lava gives out for other things
// than the API: a spend key, a wallet key, or a forward token, which is an
// object with a secret_key in base64.
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
