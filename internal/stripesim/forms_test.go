package stripesim

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestForm(t *testing.T) {
	t.Parallel()

	var f form
	require.NoError(t, f.parse("amount=10&metadata[a]=1&metadata%5Bb%5D=x+y&expand[]=p&expand[]=q&types[0]=r&types[1]=s&e=&one=z"))
	require.EqualValues(t, 10, f.int("amount"))
	require.Equal(t, "1", f.str("metadata", "a"))
	require.Equal(t, "x y", f.str("metadata", "b"))
	require.Equal(t, []string{"p", "q"}, f.list("expand"))
	require.Equal(t, []string{"r", "s"}, f.list("types"))
	require.Equal(t, []string{"z"}, f.list("one"))
	require.True(t, f.has("e"))
	require.Nil(t, f.list("e"))
	require.False(t, f.has("metadata", "c"))
	require.Equal(t, "a[b][c]", bracketed("a.b.c"))
}

// FuzzForm looks for bodies that break the parser, and for bodies whose digest
// depends on more than the parameters.
func FuzzForm(f *testing.F) {
	for _, seed := range []string{
		"", "a=1", "a[b]=1&a[c]=2", "a[]=1&a[]=2", "a[0]=1&a[1]=2", "a[b][c][d]=1", "%5B=1", "a[", "a]=1", "=1", "&&", "a=1&a[b]=2",
		"metadata[k%5D]=v", "a[b]c=1", "%ff=1", "x=%E2%82%AC",
	} {
		f.Add(seed)
	}
	table := newParamTable(intentCreateParams)
	f.Fuzz(func(t *testing.T, body string) {
		var tree form
		if tree.parse(body) != nil {
			return
		}
		_ = table.check(&tree)
		var again form
		require.NoError(t, again.parse(body+"&"))
		require.Equal(t, tree.digest(), again.digest())
		if tree.has("z") {
			return
		}
		require.NoError(t, again.parse("z=1"))
		require.NotEqual(t, tree.digest(), again.digest())
	})
}
