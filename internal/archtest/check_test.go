package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// check reads every Go file under root and returns what breaks a rule.
func check(root fs.FS) ([]string, error) {
	c := &checker{documented: map[string]bool{}}
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if base := d.Name(); name != "." && (base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_")) {
				return fs.SkipDir
			}
			return nil
		case !strings.HasSuffix(name, ".go"):
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		return c.file(name, text)
	})
	for pkg, ok := range c.documented {
		if !ok {
			c.fault("%s: the package has no comment that says what it is", pkg)
		}
	}
	slices.Sort(c.faults)
	return c.faults, err
}

type checker struct {
	faults     []string
	documented map[string]bool // by package
}

func (c *checker) fault(format string, args ...any) {
	c.faults = append(c.faults, fmt.Sprintf(format, args...))
}

func (c *checker) file(name string, text []byte) error {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	pkg, test := path.Dir(name), strings.HasSuffix(name, "_test.go")
	for _, spec := range f.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		if why := anyImport(pkg, imported, test); why != "" {
			c.fault("%s: imports %s: %s", name, imported, why)
		}
	}
	if slices.Contains(vague, f.Name.Name) {
		c.fault("%s: %q does not say what the package is", name, f.Name.Name)
	}
	if test {
		return nil
	}
	c.documented[pkg] = c.documented[pkg] || f.Doc != nil
	if n := fset.File(f.Pos()).LineCount(); n > maxFileLines {
		c.fault("%s: %d lines, at most %d", name, n, maxFileLines)
	}
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		if n := fset.Position(fn.End()).Line - fset.Position(fn.Pos()).Line + 1; n > maxFuncLines {
			c.fault("%s: func %s has %d lines, at most %d", name, fn.Name.Name, n, maxFuncLines)
		}
	}
	return nil
}

// anyImport tells why a package must not import another, or "".
func anyImport(pkg, imported string, test bool) string {
	if ours, ok := strings.CutPrefix(imported, module+"/"); ok {
		if test {
			return "" // a test may look at its package from anywhere
		}
		return ourImport(pkg, ours)
	}
	test = test || slices.Contains(harnesses, pkg)
	first, _, _ := strings.Cut(imported, "/")
	switch {
	case strings.Contains(first, "."):
		return outsideImport(pkg, imported, test)
	case imported == "testing" && !test:
		return "it puts the flags of tests into the server"
	}
	return ""
}

func ourImport(pkg, imported string) string {
	if slices.Contains(everyone, imported) && !slices.Contains(everyone, pkg) {
		return ""
	}
	for _, r := range rows {
		if r.pkg != pkg {
			continue
		}
		if slices.Contains(r.may, "*") || slices.Contains(r.may, imported) {
			return ""
		}
		if why := r.never[imported]; why != "" {
			return why
		}
		return r.because
	}
	if strings.HasPrefix(pkg, "internal/") {
		return internalBecause
	}
	return pkg + " has no row in internal/archtest/rules_test.go"
}

func outsideImport(pkg, imported string, test bool) string {
	for _, o := range outsiders {
		if imported != o.path && !strings.HasPrefix(imported, o.path+"/") {
			continue
		}
		if test || slices.Contains(o.may, pkg) {
			return ""
		}
		return o.because
	}
	return "the module has no row in internal/archtest/rules_test.go"
}
