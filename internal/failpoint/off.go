//go:build !failpoint

package failpoint

// Hit does nothing in a released program.
func Hit(Name) {}
