module signatures

go 1.22
