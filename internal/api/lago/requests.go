package lago

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/fundrail/fundrail/internal/api"
	"github.com/fundrail/fundrail/internal/wallet"
)

// pathID reads the id of the path. One that is none is the zero id, which belongs
// to nothing.
func pathID(c echo.Context) wallet.ID { return parseUUID(c.Param("id")) }

// parseUUID reads an id as this dialect writes it; anything else is the zero id.
func parseUUID(s string) wallet.ID {
	const length = 36 // the parser takes other spellings too
	id, err := uuid.Parse(s)
	if err != nil || len(s) != length {
		return wallet.ID{}
	}
	return id
}

// pathText reads a name that a merchant gave from the path. What the database
// could not have stored is empty, which no name is.
func pathText(c echo.Context, name string) string {
	text := c.Param(name)
	if c.Request().URL.RawPath != "" { // then the router saw it escaped
		if plain, err := url.PathUnescape(text); err == nil {
			text = plain
		}
	}
	return storable(text)
}

// storable is the text, or nothing if the database cannot hold it.
func storable(text string) string {
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return ""
	}
	return text
}

// pageOf reads which page of a list is asked for. What cannot be read counts as
// not given.
func pageOf(c echo.Context) wallet.Page {
	number, _ := strconv.Atoi(c.QueryParam("page"))
	size, _ := strconv.Atoi(c.QueryParam("per_page"))
	return wallet.Page{Number: number, Size: size}
}

// writeList answers with a page of a list under its name.
func writeList[T any](c echo.Context, name string, list []T, total int) error {
	meta := pageOf(c).Meta(total)
	return api.WriteJSON(c, http.StatusOK, named{{name, list}, {"meta", meta}})
}

// writeOne answers with one thing under its name.
func writeOne(c echo.Context, name string, value any) error {
	return api.WriteJSON(c, http.StatusOK, named{{name, value}})
}
