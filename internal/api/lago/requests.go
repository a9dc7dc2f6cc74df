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

// pathID returns the id in the path, or the zero id, which no row has, if it is not
// an id.
func pathID(c echo.Context) wallet.ID { return parseUUID(c.Param("id")) }

// parseUUID reads an id as this dialect writes it. It returns the zero id for
// anything else.
func parseUUID(s string) wallet.ID {
	const length = 36 // the parser accepts other spellings too
	id, err := uuid.Parse(s)
	if err != nil || len(s) != length {
		return wallet.ID{}
	}
	return id
}

// pathText returns a name in the path. It is empty, as no name is, if there cannot be
// such a name: one that the database cannot store, or that is longer than any.
func pathText(c echo.Context, name string) string {
	text := c.Param(name)
	if c.Request().URL.RawPath != "" { // then the router has not unescaped it
		if plain, err := url.PathUnescape(text); err == nil {
			text = plain
		}
	}
	if utf8.RuneCountInString(text) > maxText {
		return ""
	}
	return storable(text)
}

// storable returns the text, or an empty one if the database cannot store it.
func storable(text string) string {
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return ""
	}
	return text
}

// pageOf returns the page of a list that the request asks for. A value that is not a
// number counts as not given.
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

// writeOne answers with one value under its name.
func writeOne(c echo.Context, name string, value any) error {
	return api.WriteJSON(c, http.StatusOK, named{{name, value}})
}
