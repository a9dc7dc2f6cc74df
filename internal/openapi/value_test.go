package openapi

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	t.Parallel()

	t.Run("KeepsTheOrderAndPutsPiecesInPlace", func(t *testing.T) {
		t.Parallel()

		doc, err := parse([]byte(`
z: 1
x-pieces:
  a: &a {one: 1, two: 2}
  b: &b {two: 3, three: null}
m:
  <<: [*a, *b]
  one: "<&>"
l: [*a, true, text]
`))
		require.NoError(t, err)
		data, err := doc.MarshalJSON()
		require.NoError(t, err)
		want := `{"z":1,"m":{"two":2,"three":null,"one":"<&>"},"l":[{"one":1,"two":2},true,"text"]}`
		require.Equal(t, want, string(data))
	})

	for name, tt := range map[string]struct{ text, want string }{
		"Twice":        {"a: 1\na: 2\n", "duplicate name"},
		"CommaInText":  {"a: {description: This, or that.}\n", "line 1: a name has no value"},
		"Float":        {"a: 1.5\n", "needs quotes"},
		"Time":         {"a: 2026-03-14T09:26:53Z\n", "needs quotes"},
		"TwoDocuments": {"", "exactly one document"},
		"NoYAML":       {"a: [", "did not find expected"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			_, err := parse([]byte(tt.text))
			require.ErrorContains(t, err, tt.want)
		})
	}
}
