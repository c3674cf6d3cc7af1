module example.com/delveprograms

go 1.22
