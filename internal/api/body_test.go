package api

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseObject(t *testing.T) {
	t.Parallel()

	t.Run("NamesAreCaseSensitiveAndTheLastOneWins", func(t *testing.T) {
		t.Parallel()

		o, err := ParseObject([]byte(`{"amount":"1","AMOUNT":"2","amount":"3"}`))
		require.NoError(t, err)
		require.Equal(t, Object{"amount": []byte(`"3"`), "AMOUNT": []byte(`"2"`)}, o)
	})

	t.Run("NotJSON", func(t *testing.T) {
		t.Parallel()

		for _, body := range []string{
			"", " ", "{", "}", "{}{}", "{} x", `{"a":1,}`, `{'a':1}`, `{a:1}`, "{\"a\":\"\xff\"}", "{\"a\":\"\n\"}",
			"\ufeff{}", "nul", `{"a":01}`, `{"a":NaN}`, "<a/>", "a=1", "{\"a\":1}\x00",
		} {
			_, err := ParseObject([]byte(body))
			requireCode(t, err, http.StatusBadRequest, "body_json_invalid")
		}
	})

	t.Run("NotAnObject", func(t *testing.T) {
		t.Parallel()

		for body, kind := range map[string]string{
			"[]": "array", "null": "null", "true": "boolean", "false": "boolean", "-1": "number", "1e2": "number", `"a"`: "string",
		} {
			_, err := ParseObject([]byte(body))
			requireCode(t, err, http.StatusBadRequest, "body_schema_validation_failed")
			var e *Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, []Issue{{Path: []string{}, Message: "Expected object, received " + kind}}, e.Issues)
		}
	})

	t.Run("NestingIsBounded", func(t *testing.T) {
		t.Parallel()

		nested := func(depth int) []byte {
			return []byte(`{"a":` + strings.Repeat("[", depth-1) + `"]]}}\"{{[["` + strings.Repeat("]", depth-1) + `}`)
		}
		_, err := ParseObject(nested(maxDepth))
		require.NoError(t, err)
		_, err = ParseObject(nested(maxDepth + 1))
		requireCode(t, err, http.StatusBadRequest, "body_json_invalid")
		_, err = ParseObject(nested(30_000))
		requireCode(t, err, http.StatusBadRequest, "body_json_invalid")
	})
}

func TestCheckMediaType(t *testing.T) {
	t.Parallel()

	for _, contentType := range []string{
		"", "application/json", "Application/JSON", "application/json; charset=utf-8", `application/json;charset="UTF-8"`,
		"application/vnd.merchant+json",
	} {
		require.NoError(t, checkMediaType(http.Header{"Content-Type": {contentType}}), contentType)
	}
	require.NoError(t, checkMediaType(http.Header{}))
	require.NoError(t, checkMediaType(http.Header{"Content-Encoding": {"identity"}}))

	for _, contentType := range []string{
		"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "json", "application/jsonp",
		"application/json; charset=latin1", "application/json; charset", "/", ";",
	} {
		err := checkMediaType(http.Header{"Content-Type": {contentType}})
		requireCode(t, err, http.StatusUnsupportedMediaType, "unsupported_media_type")
	}
	err := checkMediaType(http.Header{"Content-Encoding": {"gzip"}})
	requireCode(t, err, http.StatusUnsupportedMediaType, "unsupported_media_type")
}
