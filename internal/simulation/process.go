package simulation

import (
	"fmt"
	"iter"
	"runtime/debug"
)

// Process is a program that runs until its next call to the outside, and there lets others have their turn. It may be
// killed while it waits.
type Process struct {
	next  func() (struct{}, bool)
	stop  func()
	yield func(struct{}) bool
	// Ended is true when the program has returned or was killed.
	Ended bool
}

// killed unwinds a process that was killed.
type killed struct{}

// Start makes a process of body, which begins with its first Step.
func Start(body func(p *Process)) *Process {
	p := &Process{}
	p.next, p.stop = iter.Pull(func(yield func(struct{}) bool) {
		p.yield = yield
		defer func() {
			switch reason := recover().(type) {
			case nil, killed:
			case violation:
				panic(reason)
			default: // where it came from is not to be seen from outside of the process
				panic(fmt.Sprintf("%v\n%s", reason, debug.Stack()))
			}
		}()
		body(p)
	})
	return p
}

// Step runs the process until it waits or ends.
func (p *Process) Step() {
	if _, more := p.next(); !more {
		p.Ended = true
	}
}

// Wait lets others have their turn. It is called by the process itself, and does not return if it is killed meanwhile.
func (p *Process) Wait() {
	if !p.yield(struct{}{}) {
		panic(killed{})
	}
}

// Kill ends the process where it waits: it does nothing more that the outside could see. Its deferred functions run,
// and must not do so either.
func (p *Process) Kill() {
	p.stop()
	p.Ended = true
}
