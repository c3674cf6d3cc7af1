module example.com/enginetargets

go 1.22
