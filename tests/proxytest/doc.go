// Package proxytest runs xaproxy as tests see it: the program, built from this checkout, as a child process with a
// configuration, a decision log and a port of its own.
//
//	p := proxytest.Run(t, proxytest.Options{
//		Backends: []proxytest.Backend{proxytest.On("a", mariadb), proxytest.On("b", mysql)},
//		Schemas:  []config.Schema{{Name: "shop", Backend: "a"}},
//	})
//	db := p.DB(t, "shop")
//
// In between a test may Kill, Stop, Freeze, Thaw and Restart it: configuration, decision log and port stay the same.
// On Linux it never outlives its parent. What it logged is printed when the test fails.
package proxytest
