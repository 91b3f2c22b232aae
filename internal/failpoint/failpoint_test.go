package failpoint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestTable compares the table with the names that are declared, and with the calls of Hit in the programs: a name that
// no program hits would make its kill test wait for nothing, and one that is not in the table would have none.
func TestTable(t *testing.T) {
	declared := map[string]string{}
	inspect(t, "failpoint.go", func(node ast.Node) {
		spec, ok := node.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return
		}
		if typed, ok := spec.Type.(*ast.Ident); !ok || typed.Name != "Name" {
			return
		}
		text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		declared[spec.Names[0].Name] = text
	})
	var names, hit []string
	for _, name := range all {
		names = append(names, string(name))
	}
	for _, root := range []string{"../../agent", "../../sink"} {
		err := filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
				inspect(t, path, func(node ast.Node) { hit = append(hit, hits(node, declared)...) })
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	var want []string
	for _, text := range declared {
		want = append(want, text)
	}
	sorted := cmpopts.SortSlices(strings.Compare)
	if diff := cmp.Diff(want, names, sorted); diff != "" {
		t.Errorf("table (-declared +listed):\n%s", diff)
	}
	if diff := cmp.Diff(want, hit, sorted); diff != "" {
		t.Errorf("calls of Hit, one for each name (-declared +called):\n%s", diff)
	}
	if n := len(Of("agent")) + len(Of("sink")); n != len(all) || len(Of("sink")) == 0 {
		t.Errorf("%d of %d names belong to a program", n, len(all))
	}
}

// hits returns the name that node hits, if it is a call of Hit.
func hits(node ast.Node, declared map[string]string) []string {
	call, ok := node.(*ast.CallExpr)
	if !ok {
		return nil
	}
	function, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || function.Sel.Name != "Hit" {
		return nil
	}
	if name, ok := call.Args[0].(*ast.SelectorExpr); ok {
		return []string{declared[name.Sel.Name]}
	}
	return []string{"not a constant"}
}

func inspect(t *testing.T, path string, visit func(ast.Node)) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(node ast.Node) bool {
		visit(node)
		return true
	})
}
