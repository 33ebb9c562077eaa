package sim

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	replaySeeds = 10
	// replayFrom is the environment variable that tells a process which seeds to run for another one.
	replayFrom = "XAPROXY_SIM_REPLAY"
)

// TestReplay: a seed is everything. The same steps happen at the same times, byte for byte, when it is run again in this process, and in
// another one. With -for it goes on for a twelfth of that.
func TestReplay(t *testing.T) {
	if from := os.Getenv(replayFrom); from != "" {
		first, err := strconv.ParseUint(from, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		replay(first, func(o options) { fmt.Println(name(o), digest(simulate(t, o))) })
		return
	}
	first, began, lines := rand.Uint64()>>16, time.Now(), 0
	t.Logf("seeds from %d", first)
	for n := 0; n == 0 || time.Since(began) < *forFlag/12 && !t.Failed(); n++ {
		lines += replayed(t, first+uint64(n*replaySeeds))
	}
	if lines < 1000 {
		t.Errorf("only %d steps", lines)
	}
}

// replayed compares the runs of some seeds, and returns how many steps they had.
func replayed(t *testing.T, first uint64) (lines int) {
	there := exec.Command(os.Args[0], "-test.run=^TestReplay$", "-test.count=1")
	there.Env = append(os.Environ(), replayFrom+"="+strconv.FormatUint(first, 10))
	out, err := there.CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	replay(first, func(o options) {
		a, b := simulate(t, o), simulate(t, o)
		switch {
		case digest(a) != digest(b):
			t.Errorf("%s: two runs differ, %q and %q, from\n%s", name(o), a.violation, b.violation, difference(a.trace, b.trace))
		case !strings.Contains(string(out), name(o)+" "+digest(a)+"\n"):
			t.Errorf("%s: %s here, and in another process\n%s", name(o), digest(a), out)
		}
		lines += strings.Count(a.trace, "\n")
	})
	return lines
}

func replay(first uint64, run func(options)) {
	for i := range uint64(replaySeeds) {
		for _, store := range stores {
			run(options{seed: first + i, store: store})
		}
	}
}

func name(o options) string { return fmt.Sprintf("seed %d, store %s:", o.seed, o.store) }

func digest(r result) string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(r.violation+"\n"+r.trace)))
}

// difference returns the first lines in which two traces differ.
func difference(a, b string) string {
	la, lb := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(la), len(lb)) {
		if la[i] != lb[i] {
			return la[i] + "\n" + lb[i]
		}
	}
	return "where the shorter one ends"
}
