package main

import (
	"fmt"
	"os"
)
import "sync/atomic"

type T struct{}

func (t *T) Walk(n int) int {
	if n == 0 {
		return 0
	}
	return t.Walk(n-1) + 1
}

func main() {
	xs := make([]int, 10)
	for i := 0; i < 10; i++ {
		for range xs {
			xs = append(xs, 'a')
		}
	}
	go func() { fmt.Println(`for {`) }()
	for {
		os.Exit(0)
	}
}
