// Package faults kills the real agent and the real sink at every step of their work, against a real Kafka and a real
// HDFS, and checks that every line still comes exactly once and in order. The steps are those of internal/failpoint.
//
// LOGPIPE_FAULTS_ROUNDS is how often each step kills a process, and how many failovers of NameNodes and deaths of
// DataNodes there are; the default keeps the tests short.
// LOGPIPE_FAULTS_KEEP is a directory in which the files of the programs are kept when a test fails, with their logs.
package faults

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/logpipe/logpipe/internal/failpoint"
)

const (
	defaultRounds = 3
	// patience bounds what a test waits for.
	patience = 5 * time.Minute
	// atOnce is how many steps are tested at the same time: most of it is waiting for servers.
	atOnce = "6"
)

func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		if err := flag.Set("test.parallel", atOnce); err != nil {
			panic(err)
		}
	}
	code := m.Run()
	if dir, err := programs(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// programs builds the agent and the sink with the tag, once, and returns their directory.
var programs = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "logpipe-faults-") // outlives each test
	if err != nil {
		return "", err
	}
	build := exec.Command("go", "build", "-tags", "failpoint", "-o", dir,
		"../../cmd/agent", "../../cmd/sink", "./guest/init")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as they are released
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the programs: %w\n%s", err, output)
	}
	return dir, nil
})

// rounds is how often each fault comes.
func rounds(t *testing.T, fallback int) int {
	text := os.Getenv("LOGPIPE_FAULTS_ROUNDS")
	if text == "" {
		return fallback
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("LOGPIPE_FAULTS_ROUNDS %q: want a number of 1 or more", text)
	}
	return n
}

// program starts one program again and again.
type program struct {
	*testing.T
	name   string
	dir    string
	config string
	lives  int
}

func newProgram(t *testing.T, name string) *program {
	dir := t.TempDir()
	if keep := os.Getenv("LOGPIPE_FAULTS_KEEP"); keep != "" {
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("keeping %s in %s: %v", dir, keep, os.CopyFS(filepath.Join(keep, dir), os.DirFS(dir)))
			}
		})
	}
	return &program{T: t, name: name, dir: dir, config: filepath.Join(dir, name+".json")}
}

func (p *program) configure(cfg any) {
	p.Helper()
	data, err := json.Marshal(cfg)
	if err == nil {
		err = os.WriteFile(p.config, data, 0o600)
	}
	p.check(err)
}

func (p *program) check(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

// life is one process of the program.
type life struct {
	program *program
	process *exec.Cmd
	log     string
	ended   chan struct{}
}

// start starts a process that dies at a step, or one that does not if order is empty.
func (p *program) start(order string) *life {
	p.Helper()
	dir, err := programs()
	p.check(err)
	p.lives++
	log := filepath.Join(p.dir, fmt.Sprintf("%s-%d.log", p.name, p.lives))
	l := &life{program: p, log: log, ended: make(chan struct{})}
	out, err := os.Create(l.log)
	p.check(err)
	l.process = exec.Command(filepath.Join(dir, p.name), "--config", p.config, "-v", "1")
	l.process.Stderr = out
	if order != "" {
		l.process.Env = append(os.Environ(), failpoint.Variable+"="+order)
	}
	p.check(l.process.Start())
	p.check(out.Close())
	go func() {
		_ = l.process.Wait()
		close(l.ended)
	}()
	p.Cleanup(l.kill)
	return l
}

// kill ends the process with SIGKILL, if it is not dead yet.
func (l *life) kill() {
	_ = l.process.Process.Kill()
	<-l.ended
}

// stop ends the process in good order.
func (l *life) stop() {
	l.program.Helper()
	l.program.check(l.process.Process.Signal(syscall.SIGTERM))
	select {
	case <-l.ended:
	case <-time.After(patience):
		l.program.Fatalf("life %d does not stop; its log ends:\n%s", l.program.lives, l.tail())
	}
}

// wantDeath waits until the process has died at the step; it does something now and then meanwhile.
func (l *life) wantDeath(step failpoint.Name, meanwhile func()) {
	l.program.Helper()
	for deadline := time.Now().Add(patience); !l.isDead(); meanwhile() {
		if time.Now().After(deadline) {
			l.program.Fatalf("life %d never came to %s; its log ends:\n%s", l.program.lives, step, l.tail())
		}
	}
	status := l.process.ProcessState.Sys().(syscall.WaitStatus)
	last := []byte(fmt.Sprintf("failpoint %s\n", step))
	if !status.Signaled() || status.Signal() != syscall.SIGKILL || !bytes.HasSuffix(l.read(), last) {
		l.program.Fatalf("life %d did not die at %s: %s; its log ends:\n%s", l.program.lives, step, l.process.ProcessState,
			l.tail())
	}
}

// isDead waits for the end of the process, but not for long.
func (l *life) isDead() bool {
	select {
	case <-l.ended:
		return true
	case <-time.After(100 * time.Millisecond):
		return false
	}
}

// until polls, as servers have no way to tell when something has happened there. The process must live meanwhile.
func (l *life) until(what string, done func() bool) {
	l.program.Helper()
	for deadline := time.Now().Add(patience); !done(); {
		select {
		case <-l.ended:
			l.program.Fatalf("life %d ended by itself: %s; its log ends:\n%s", l.program.lives, l.process.ProcessState,
				l.tail())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			l.program.Fatalf("waited too long until %s; the log of life %d ends:\n%s", what, l.program.lives, l.tail())
		}
	}
}

func (l *life) read() []byte {
	l.program.Helper()
	data, err := os.ReadFile(l.log)
	l.program.check(err)
	return data
}

func (l *life) tail() []byte {
	data := l.read()
	return data[max(0, len(data)-4000):]
}

// order tells a process to die when it comes to step for the n-th time, 1 <= n <= most.
func order(step failpoint.Name, most int) string {
	return fmt.Sprintf("%s=kill@%d", step, 1+rand.IntN(most))
}
