module example.com/libpa/pa

go 1.23
