//go:build failpoint

package failpoint

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// armed is the step that kills the process when left becomes 0.
var (
	armed Name
	left  atomic.Int64
)

func init() {
	text, ok := os.LookupEnv(Variable)
	if !ok {
		return
	}
	name, at, err := parse(text)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	armed = name
	left.Store(at)
}

// parse reads "<name>=kill@<n>".
func parse(text string) (Name, int64, error) {
	name, number, _ := strings.Cut(text, "=kill@")
	at, err := strconv.ParseInt(number, 10, 64)
	if err != nil || at < 1 {
		return "", 0, fmt.Errorf("%s %q: want <name>=kill@<n>, with n of 1 or more", Variable, text)
	}
	if !slices.Contains(all, Name(name)) {
		return "", 0, fmt.Errorf("%s %q: no step is named %q", Variable, text, name)
	}
	return Name(name), at, nil
}

// Hit says that the process has come to a step. It does not return when that step is armed and its time has come.
func Hit(name Name) {
	if name != armed || left.Add(-1) != 0 {
		return
	}
	fmt.Fprintf(os.Stderr, "failpoint %s\n", name)
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // the signal ends every thread; nothing may happen until it does
}
