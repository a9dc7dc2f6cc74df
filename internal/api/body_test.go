package api

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseObject(t *testing.T) {
	t.Parallel()

	t.Run("NamesAreCaseSensitiveAndTheLastOneWins", func(t *testing.T) {
		t.Parallel()

		o, err := parseObject([]byte(`{"amount":"1","AMOUNT":"2","amount":"3"}`))
		require.NoError(t, err)
		value, problem := o.text("amount")
		require.Empty(t, problem)
		require.Equal(t, "3", value)
		_, problem = o.text("Amount")
		require.Equal(t, "Missing required field: Amount", problem)
	})

	t.Run("NotJSON", func(t *testing.T) {
		t.Parallel()

		for _, body := range []string{
			"", " ", "{", "}", "{}{}", "{} x", `{"a":1,}`, `{'a':1}`, `{a:1}`, "{\"a\":\"\xff\"}", "{\"a\":\"\n\"}",
			"\ufeff{}", "nul", `{"a":01}`, `{"a":NaN}`, "<a/>", "a=1", "{\"a\":1}\x00",
		} {
			_, err := parseObject([]byte(body))
			requireCode(t, err, http.StatusBadRequest, "body_json_invalid")
		}
	})

	t.Run("NotAnObject", func(t *testing.T) {
		t.Parallel()

		for body, kind := range map[string]string{
			"[]": "array", "null": "null", "true": "boolean", "false": "boolean", "-1": "number", "1e2": "number", `"a"`: "string",
		} {
			_, err := parseObject([]byte(body))
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
		_, err := parseObject(nested(maxDepth))
		require.NoError(t, err)
		_, err = parseObject(nested(maxDepth + 1))
		requireCode(t, err, http.StatusBadRequest, "body_json_invalid")
		_, err = parseObject(nested(30_000))
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

func TestDecodeFundRequest(t *testing.T) {
	t.Parallel()

	const form = "Amount must be a decimal string with at most 2 decimal places"
	method := Issue{Path: []string{"payment_method_id"}}
	amount := Issue{Path: []string{"amount"}}
	says := func(i Issue, message string) Issue {
		i.Message = message
		return i
	}
	for body, want := range map[string][]Issue{
		`{"payment_method_id":"pm","amount":"25.00"}`:                            nil,
		`{"payment_method_id":"pm","amount":"10"}`:                               nil,
		`{"payment_method_id":"pm","amount":"10000.00"}`:                         nil,
		`{"payment_method_id":"pm","amount":"25.5","more":[1]}`:                  nil,
		`{"payment_method_id":"pm","amount":5,"amount":"25"}`:                    nil,
		`{"payment_method_id":"` + strings.Repeat("é", 255) + `","amount":"25"}`: nil,

		`{}`: {says(method, "Missing required field: payment_method_id"), says(amount, "Missing required field: amount")},
		`{"Payment_Method_Id":"pm","AMOUNT":"25"}`: {
			says(method, "Missing required field: payment_method_id"), says(amount, "Missing required field: amount"),
		},
		`{"payment_method_id":null,"amount":25}`:      {says(method, "Expected string, received null"), says(amount, "Expected string, received number")},
		`{"payment_method_id":true,"amount":{}}`:      {says(method, "Expected string, received boolean"), says(amount, "Expected string, received object")},
		`{"payment_method_id":["pm"],"amount":"9.9"}`: {says(method, "Expected string, received array"), says(amount, "Amount must be at least 10.00")},
		`{"payment_method_id":"","amount":"1e2"}`:     {says(method, "Must not be empty"), says(amount, form)},
		`{"payment_method_id":"` + strings.Repeat("p", 256) + `","amount":"10000.01"}`: {
			says(method, "Must be at most 255 characters"), says(amount, "Amount must be at most 10000.00"),
		},
	} {
		o, err := parseObject([]byte(body))
		require.NoError(t, err)
		_, issues := decodeFundRequest(o)
		require.Equal(t, want, issues, body)
	}

	for _, bad := range []string{
		"", " ", "25.", ".5", "25.001", "025", "00", "+25", "-25", "1e2", "25,00", "1,000", " 25", "25 ", "0x19", "٢٥", "NaN", "$25",
		"25.0.0", "2_5", strings.Repeat("9", 10_000),
	} {
		body, err := json.Marshal(map[string]string{"payment_method_id": "pm", "amount": bad})
		require.NoError(t, err)
		o, err := parseObject(body)
		require.NoError(t, err)
		_, issues := decodeFundRequest(o)
		require.Equal(t, []Issue{says(amount, form)}, issues, bad)
	}
	for _, low := range []string{"0", "0.00", "9.99", "9"} {
		_, issues := decodeFundRequest(object{"payment_method_id": []byte(`"pm"`), "amount": []byte(`"` + low + `"`)})
		require.Equal(t, []Issue{says(amount, "Amount must be at least 10.00")}, issues, low)
	}
	for _, high := range []string{"10000.01", "10001", "99999999999999999999999999999999"} {
		_, issues := decodeFundRequest(object{"payment_method_id": []byte(`"pm"`), "amount": []byte(`"` + high + `"`)})
		require.Equal(t, []Issue{says(amount, "Amount must be at most 10000.00")}, issues, high)
	}
}

func FuzzDecodeFundRequest(f *testing.F) {
	for _, seed := range []string{
		"", "{}", "[]", `{"payment_method_id":"pm","amount":"25.00"}`, `{"amount":1}`, `{"a":[[[{}]]]}`, "{\"\xff\":1}", `{"a":"\ud800"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		o, err := parseObject(body)
		if err != nil {
			var e *Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, http.StatusBadRequest, e.Status)
			return
		}
		require.True(t, json.Valid(body))
		req, issues := decodeFundRequest(o)
		for _, i := range issues {
			require.Contains(t, []string{"payment_method_id", "amount"}, i.Path[0])
			require.NotEmpty(t, i.Message)
		}
		if issues == nil {
			require.NotEmpty(t, req.PaymentMethodID)
			require.Regexp(t, `^[0-9]{2,5}(\.[0-9]{1,2})?$`, req.Amount)
		}
	})
}
