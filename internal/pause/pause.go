// Package pause waits in a way that can be ended.
package pause

import (
	"context"
	"time"
)

// For returns true after d, and false as soon as ctx is done.
func For(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
