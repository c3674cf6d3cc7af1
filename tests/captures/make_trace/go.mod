module example.com/maketrace

go 1.22
