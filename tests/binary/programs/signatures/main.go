// Command signatures prints first line, last line and result types of every function in Go files.
package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"strings"
)

func results(kind *ast.FuncType) string {
	var found []string
	if kind.Results == nil {
		return ""
	}
	for _, field := range kind.Results.List {
		var text strings.Builder
		printer.Fprint(&text, token.NewFileSet(), field.Type)
		for n := max(1, len(field.Names)); n > 0; n-- {
			found = append(found, strings.Join(strings.Fields(text.String()), " "))
		}
	}
	return strings.Join(found, "|")
}

func main() {
	for _, name := range os.Args[1:] {
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, nil, 0)
		if err != nil {
			continue
		}
		show := func(kind *ast.FuncType, start token.Pos, body *ast.BlockStmt) {
			if body != nil {
				fmt.Printf("%s\t%d\t%d\t%s\n", name, set.Position(start).Line, set.Position(body.Rbrace).Line, results(kind))
			}
		}
		ast.Inspect(file, func(node ast.Node) bool {
			switch function := node.(type) {
			case *ast.FuncDecl:
				show(function.Type, function.Pos(), function.Body)
			case *ast.FuncLit:
				show(function.Type, function.Pos(), function.Body)
			}
			return true
		})
	}
}
