package api

import (
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fundrail/fundrail/internal/wallet"
)

// Neutral is the dialect of paths that no merchant calls.
var Neutral Dialect = neutral{}

// ReadBody is readBody.
func ReadBody(c echo.Context) ([]byte, error) { return readBody(c) }

// NextKeyUse is when a use of the key is written down again.
func (s *Server) NextKeyUse(id wallet.ID) time.Time {
	s.uses.mu.Lock()
	defer s.uses.mu.Unlock()
	return s.uses.next[id]
}
