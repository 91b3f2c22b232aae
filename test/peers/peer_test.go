package peers

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// peer is another program, or logpipe's, that is started again and again.
type peer struct {
	*testing.T
	name    string
	dir     string
	args    []string
	log     *os.File
	process *exec.Cmd
	ended   chan struct{}
}

func newPeer(t *testing.T, name string) *peer {
	p := &peer{T: t, name: name, dir: t.TempDir()}
	var err error
	p.log, err = os.Create(filepath.Join(p.dir, "log"))
	p.check(err)
	t.Cleanup(p.cleanup)
	return p
}

func (p *peer) check(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

func (p *peer) cleanup() {
	if p.process != nil {
		p.stop(syscall.SIGKILL)
	}
	if p.Failed() {
		text, _ := os.ReadFile(p.log.Name())
		p.Logf("the log of %s ends:\n%s", p.name, text[max(0, len(text)-3000):])
	}
	_ = p.log.Close()
}

// start runs the peer with args behind its directory.
func (p *peer) start(args ...string) {
	p.Helper()
	p.args = append([]string{"run", p.name, p.dir}, args...)
	p.restart()
}

// restart runs the peer again: the script becomes it, so that what is killed is the peer itself.
func (p *peer) restart() {
	p.Helper()
	p.process, p.ended = exec.Command(script, p.args...), make(chan struct{})
	p.process.Stdout, p.process.Stderr = p.log, p.log
	p.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p.check(p.process.Start())
	go func(process *exec.Cmd, ended chan struct{}) {
		_ = process.Wait()
		close(ended)
	}(p.process, p.ended)
}

// stop ends the peer, with SIGKILL if it takes too long.
func (p *peer) stop(signal syscall.Signal) {
	_ = p.process.Process.Signal(signal)
	select {
	case <-p.ended:
	case <-time.After(silent):
		_ = p.process.Process.Kill()
		<-p.ended
	}
}

// await polls, as Kafka has no way to tell. The peer must live meanwhile.
func (p *peer) await(what string, done func() bool) {
	p.Helper()
	for deadline := time.Now().Add(patience); !done(); {
		if p.pause(); time.Now().After(deadline) {
			p.Fatalf("waited too long until %s", what)
		}
	}
}

func (p *peer) pause() {
	p.Helper()
	select {
	case <-p.ended:
		p.Fatalf("%s ended by itself: %s", p.name, p.process.ProcessState)
	case <-time.After(50 * time.Millisecond):
	}
}
