package clients

import (
	"fmt"
	"sync"
)

// counts is what the tests of this package did. It is global because its report ends the run of the whole binary.
var counts struct {
	mu           sync.Mutex // protects the following
	programs     map[string]bool
	combinations int // of a program and a proxy
	checks       int // that the programs made
	tools        int // runs of command line tools whose outcome was looked at
	known        int // combinations and runs that are known to fail, and did
	suites       []string
}

func countProgram(name string, checks int) {
	counts.mu.Lock()
	defer counts.mu.Unlock()
	if counts.programs == nil {
		counts.programs = map[string]bool{}
	}
	counts.programs[name] = true
	counts.combinations++
	counts.checks += checks
}

func countTool() {
	counts.mu.Lock()
	counts.tools++
	counts.mu.Unlock()
}

func countKnown() {
	counts.mu.Lock()
	counts.known++
	counts.mu.Unlock()
}

func countSuite(line string) {
	counts.mu.Lock()
	counts.suites = append(counts.suites, line)
	counts.mu.Unlock()
}

// report prints the counts.
func report() {
	counts.mu.Lock()
	defer counts.mu.Unlock()
	fmt.Printf("%d programs, %d combinations with a proxy, %d checks; %d runs of tools; %d that are known to fail\n",
		len(counts.programs), counts.combinations, counts.checks, counts.tools, counts.known)
	for _, line := range counts.suites {
		fmt.Println(line)
	}
}
