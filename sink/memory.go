package sink

import (
	"os"
	"runtime/debug"
)

// gcPercent trades some CPU for memory: what a sink allocates is mostly fetches, large and short-lived.
const gcPercent = 50

// LimitMemory makes the process of a sink small. A program that runs nothing else calls it once. GOGC and GOMEMLIMIT,
// where set, are left to have their way.
func LimitMemory() {
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetGCPercent(gcPercent)
	}
}
