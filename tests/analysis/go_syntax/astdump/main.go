// Command astdump reads names of Go files and prints kind, first and last line of every statement in their functions,
// as go/parser sees them.
package main

import (
	"bufio"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
)

func main() {
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	names := bufio.NewScanner(os.Stdin)
	for names.Scan() {
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, names.Text(), nil, parser.SkipObjectResolution)
		if err != nil {
			fmt.Fprintf(out, "BROKEN %s\n", names.Text())
			continue
		}
		fmt.Fprintf(out, "FILE %s\n", names.Text())
		for _, declaration := range file.Decls {
			function, ok := declaration.(*ast.FuncDecl)
			if !ok || function.Body == nil {
				continue
			}
			fmt.Fprintf(out, "FUNC %s %d %d\n", function.Name.Name, files.Position(function.Pos()).Line, files.Position(function.End()).Line)
			dump(out, files, function.Body)
		}
	}
}

func dump(out *bufio.Writer, files *token.FileSet, body *ast.BlockStmt) {
	hidden := map[ast.Node]bool{body: true}
	ast.Inspect(body, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.FuncLit:
			hidden[node.Body] = true
		case *ast.IfStmt:
			hidden[node.Body] = true
		case *ast.ForStmt:
			hidden[node.Body] = true
		case *ast.RangeStmt:
			hidden[node.Body] = true
		case *ast.SwitchStmt:
			hidden[node.Body] = true
		case *ast.SelectStmt:
			hidden[node.Body] = true
		case *ast.TypeSwitchStmt:
			hidden[node.Body] = true
			hidden[node.Assign] = true
		}
		statement, ok := node.(ast.Stmt)
		if !ok || hidden[node] {
			return true
		}
		switch node := node.(type) {
		case *ast.CaseClause, *ast.CommClause:
			return true
		case *ast.EmptyStmt:
			if node.Implicit {
				return true
			}
		}
		end := files.Position(statement.End()).Line
		if _, ok := node.(*ast.LabeledStmt); ok { // with nothing after it, it ends at the brace
			end = files.Position(statement.Pos()).Line
		}
		kind := strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%T", node), "*ast."), "Stmt")
		fmt.Fprintf(out, "%s %d %d\n", kind, files.Position(statement.Pos()).Line, end)
		return true
	})
}
