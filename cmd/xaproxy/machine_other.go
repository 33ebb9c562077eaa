//go:build !linux

package main

func machine(string) string { return "" }

func gone(int) bool { return false }
