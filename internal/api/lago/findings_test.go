package lago

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/wallet"
)

// TestDetailsAreComplete checks that the table has every finding of the domain, and
// nothing else.
func TestDetailsAreComplete(t *testing.T) {
	t.Parallel()

	for _, f := range wallet.Findings {
		d, ok := details[f]
		require.True(t, ok, "%s: %s", f.Field, f.Problem)
		require.Regexp(t, `^[a-z_]+$`, d.field)
		require.NotEmpty(t, d.codes)
		for _, code := range d.codes {
			require.Regexp(t, `^[a-z_]+$`, code)
		}
	}
	require.Len(t, details, len(wallet.Findings))
}

// TestFindingsAreComplete checks that wallet.Findings uses every field and every
// problem that the domain has. A new constant has to come into the list, and so into
// the table.
func TestFindingsAreComplete(t *testing.T) {
	t.Parallel()

	declared := map[string]bool{}
	for constant := range constantNames(t) {
		declared[constant] = true
	}
	used := map[string]bool{}
	for _, f := range wallet.Findings {
		used["Field "+string(f.Field)], used["Problem "+string(f.Problem)] = true, true
	}
	require.Equal(t, declared, used)
}

// TestDomainFindingsAreListed checks that no package adds a finding of the domain that
// wallet.Findings does not have.
func TestDomainFindingsAreListed(t *testing.T) {
	t.Parallel()

	listed, declared := map[string]bool{}, map[string]bool{} // by the names of the constants
	names := constantNames(t)
	for _, name := range names {
		declared[name] = true
	}
	for _, f := range wallet.Findings {
		listed[names["Field "+string(f.Field)]+" "+names["Problem "+string(f.Problem)]] = true
	}
	added := 0
	for _, pattern := range []string{"../../wallet/*.go", "../../topup/*.go", "../../postgres/*.go", "*.go"} {
		paths, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, paths, pattern)
		for _, path := range paths {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			require.NoError(t, err)
			ast.Inspect(file, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok || len(call.Args) != 2 {
					return true
				}
				field, problem := constantName(call.Args[0]), constantName(call.Args[1])
				if declared[field] && declared[problem] {
					require.True(t, listed[field+" "+problem], "%s: %s %s", path, field, problem)
					added++
				}
				return true
			})
		}
	}
	require.Greater(t, added, 20, "the search finds nothing any more")
}

// constantName returns the name of a constant of package wallet as it is used in it
// and elsewhere.
func constantName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	default:
		return ""
	}
}

// constantNames returns the names of the constants by their type and value.
func constantNames(t *testing.T) map[string]string {
	t.Helper()

	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", "..", "wallet", "validation.go"), nil, 0)
	require.NoError(t, err)
	names := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		kind, typed := spec.Type.(*ast.Ident)
		literal, isLiteral := spec.Values[0].(*ast.BasicLit)
		if typed && isLiteral && (kind.Name == "Field" || kind.Name == "Problem") {
			text, err := strconv.Unquote(literal.Value)
			require.NoError(t, err)
			names[kind.Name+" "+text] = spec.Names[0].Name
		}
		return true
	})
	return names
}

func TestDetailsOf(t *testing.T) {
	t.Parallel()

	v := &wallet.ValidationError{}
	v.Add(wallet.FieldPaidCredits, wallet.ProblemAmountInvalid)
	v.Add(fieldMetadata, problemTooManyKeys)
	v.Add(wallet.FieldCustomer, wallet.ProblemNotFound)

	require.Equal(t, map[string][]string{
		"customer": {"customer_not_found"}, "metadata": {"too_many_keys"},
		"paid_credits": {"invalid_paid_credits", "invalid_amount"},
	}, detailsOf(v))
}
