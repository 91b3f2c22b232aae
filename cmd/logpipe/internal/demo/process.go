package demo

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

var errEnded = errors.New("process ended")

// stopTimeout is how long a process may take to end after SIGTERM.
const stopTimeout = 30 * time.Second

// process is an agent or a sink that the demo runs: this program with another command, so that the figures of CPU and
// memory are each program's own.
type process struct {
	name string
	log  string
	cmd  *exec.Cmd
	done chan error
}

// Usage is what a process took, measured by the kernel.
type Usage struct {
	Name       string  `json:"name"`
	CPUSeconds float64 `json:"cpuSeconds"`
	PeakRSSMiB float64 `json:"peakRSSMiB"`
}

// start runs `logpipe KIND --config FILE` with cfg as the file.
func start(dir, kind, name string, cfg any) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find own program: %w", err)
	}
	data, err := json.MarshalIndent(cfg, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("render configuration of %s: %w", name, err)
	}
	file := filepath.Join(dir, name+".json")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return nil, fmt.Errorf("write configuration of %s: %w", name, err)
	}
	p := &process{name: name, log: filepath.Join(dir, name+".out"), done: make(chan error, 1)}
	out, err := os.Create(p.log)
	if err != nil {
		return nil, fmt.Errorf("create log of %s: %w", name, err)
	}
	defer out.Close()
	p.cmd = exec.Command(self, kind, "--config", file)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	// The demo's own Ctrl-C must not reach the children: they are stopped in order.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() { p.done <- p.cmd.Wait() }()
	return p, nil
}

// stop ends the process and returns what it took.
func (p *process) stop() (Usage, error) {
	peak := p.peakRSS()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	var err error
	select {
	case err = <-p.done:
	case <-time.After(stopTimeout):
		_ = p.cmd.Process.Kill()
		_ = p.wait()
		err = fmt.Errorf("did not end within %s", stopTimeout)
	}
	if err != nil {
		err = fmt.Errorf("stop %s (its log: %s): %w", p.name, p.log, err)
	}
	return p.usage(peak), err
}

// wait returns how the process ended.
func (p *process) wait() error {
	err := <-p.done
	p.done <- err
	return err
}

// peakRSS is the most memory, in MiB, that the process had so far. The resource usage that the kernel gives at its end
// would not do: there, a process begins with the size of the one that started it.
func (p *process) peakRSS() float64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, _ := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64)
			return kib / 1024
		}
	}
	return 0
}

func (p *process) usage(peak float64) Usage {
	state := p.cmd.ProcessState
	return Usage{Name: p.name, PeakRSSMiB: peak, CPUSeconds: (state.UserTime() + state.SystemTime()).Seconds()}
}

// exited returns an error if the process has ended by itself.
func (p *process) exited() error {
	select {
	case err := <-p.done:
		p.done <- err
		return fmt.Errorf("%s ended by itself, see its log %s: %w", p.name, p.log, errors.Join(errEnded, err))
	default:
		return nil
	}
}
