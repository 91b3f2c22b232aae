package agent

import (
	"os"
	"runtime/debug"
)

// memoryTarget keeps the agent below 64 MiB: the buffer, what a batch grows by while it is encoded, and the runtime.
const memoryTarget = 48 << 20

// LimitMemory has the garbage collector keep the process small, unless GOGC or GOMEMLIMIT say otherwise. It is for main.
func LimitMemory() {
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryTarget)
	}
}
