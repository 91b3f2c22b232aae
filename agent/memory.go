package agent

import (
	"os"
	"runtime/debug"
)

// gcPercent trades some CPU for memory: what an agent allocates is mostly batches, large and short-lived.
const gcPercent = 40

// LimitMemory has the garbage collector keep the process small, unless GOGC or GOMEMLIMIT say otherwise. For main.
func LimitMemory() {
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetGCPercent(gcPercent)
	}
}
