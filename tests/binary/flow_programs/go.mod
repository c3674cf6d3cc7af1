module example.com/flowprograms

go 1.22
