"""What a Go function's machine code does with one `*http.Response`, followed value by value."""
