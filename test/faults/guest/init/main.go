//go:build linux

// Command init is the first process of a machine of its own (hack/uml.sh), whose power a test cuts. It mounts the
// machine's disk, starts the agent, and writes lines into the log that this one follows. What of it is on the disk for
// good, it says on the console, as "guest: synced <lines>"; "guest: done" says that it writes no more.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/logpipe/logpipe/internal/lines"
	"github.com/logpipe/logpipe/test/faults/guest"
)

func main() {
	err := run()
	fmt.Println("guest: ended:", err)
	select {} // the kernel panics when its first process ends
}

func run() error {
	var o guest.Order
	data, err := os.ReadFile(guest.File)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, &o); err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(o.Seed, 1))
	if err := mount(o.FileSystem, random); err != nil {
		return err
	}
	if err := network(o.Ports); err != nil {
		return err
	}
	w := &writer{Order: o, random: random, source: lines.NewSource(o.Writer, o.Seed)}
	a := &agent{}
	begin := []func() error{a.start, func() error { return w.write(100) }}
	random.Shuffle(len(begin), func(i, j int) { begin[i], begin[j] = begin[j], begin[i] })
	for _, step := range begin {
		if err := step(); err != nil {
			return err
		}
		time.Sleep(time.Duration(random.IntN(500)) * time.Millisecond)
	}
	if a.suffering.Store(o.Jumps > 0); o.Jumps > 0 {
		go a.suffer(newClock(rand.New(rand.NewPCG(o.Seed, 2))), o.Jumps)
	}
	return w.run(a)
}

// mount mounts what the agent needs, and the disk. How long the kernel keeps what is written in memory differs from one
// run to the next.
func mount(fileSystem string, random *rand.Rand) error {
	mounts := []struct{ from, to, kind string }{
		{"proc", "/proc", "proc"}, {"sys", "/sys", "sysfs"}, {"tmp", "/tmp", "tmpfs"}, {"/dev/ubda", guest.Disk, fileSystem},
	}
	for _, m := range mounts {
		if err := unix.Mount(m.from, m.to, m.kind, 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.to, err)
		}
	}
	for name, most := range map[string]int{"dirty_writeback_centisecs": 100, "dirty_expire_centisecs": 300} {
		value := fmt.Sprint(1 + random.IntN(most))
		if err := os.WriteFile("/proc/sys/vm/"+name, []byte(value), 0); err != nil {
			return err
		}
	}
	return os.MkdirAll(filepath.Dir(guest.Log), 0o700)
}

// network brings the devices up, and what listens on 127.0.0.1 outside, here too.
func network(ports []int) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	for device, address := range map[string][]byte{"lo": {127, 0, 0, 1}, "eth0": {10, 0, 2, 15}} {
		ifr, err := unix.NewIfreq(device)
		if err != nil {
			return err
		}
		if err := ifr.SetInet4Addr(address); err != nil {
			return err
		}
		if err := unix.IoctlIfreq(fd, unix.SIOCSIFADDR, ifr); err != nil {
			return fmt.Errorf("address of %s: %w", device, err)
		}
		ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
		if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr); err != nil {
			return fmt.Errorf("bring up %s: %w", device, err)
		}
	}
	for _, port := range ports {
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return err
		}
		go forward(listener, fmt.Sprintf("10.0.2.2:%d", port))
	}
	return nil
}

func forward(listener net.Listener, to string) {
	for {
		here, err := listener.Accept()
		if err != nil {
			return
		}
		there, err := net.Dial("tcp", to)
		if err != nil {
			_ = here.Close()
			continue
		}
		pipe := func(to, from net.Conn) {
			_, _ = io.Copy(to, from)
			_ = to.Close()
		}
		go pipe(here, there)
		go pipe(there, here)
	}
}

// writer writes lines into the log, and rotates it.
type writer struct {
	guest.Order
	random    *rand.Rand
	source    *lines.Source
	file      *os.File
	rotations int
}

func (w *writer) run(a *agent) error {
	for w.Last == 0 || w.source.Count() < w.Last || a.suffering.Load() {
		if err := w.write(1 + w.random.IntN(100)); err != nil {
			return err
		}
		var err error
		switch w.random.IntN(100) {
		case 0:
			err = w.sync()
		case 1:
			err = w.rotate()
		}
		if err != nil {
			return err
		}
		time.Sleep(time.Duration(w.random.IntN(10)) * time.Millisecond)
	}
	if err := w.sync(); err != nil {
		return err
	}
	fmt.Println("guest: done")
	select {}
}

// open opens the log. A line that a power cut has cut off is ended.
func (w *writer) open() (err error) {
	if w.file, err = os.OpenFile(guest.Log, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600); err != nil {
		return err
	}
	info, err := w.file.Stat()
	if err != nil || info.Size() == 0 {
		return err
	}
	last := make([]byte, 1)
	if _, err := w.file.ReadAt(last, info.Size()-1); err != nil || last[0] == '\n' {
		return err
	}
	_, err = w.file.WriteString("\n")
	return err
}

func (w *writer) write(count int) error {
	if w.file == nil {
		if err := w.open(); err != nil {
			return err
		}
	}
	var text []byte
	for range count {
		text = append(text, w.source.Next(time.Now())...)
	}
	_, err := w.file.Write(text)
	return err
}

// sync brings all that was written to the disk, the name of the log too.
func (w *writer) sync() error {
	dir, err := os.Open(filepath.Dir(guest.Log))
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := w.file.Sync(); err != nil {
		return err
	}
	if err := dir.Sync(); err != nil {
		return err
	}
	fmt.Println("guest: synced", w.source.Count())
	return nil
}

// rotate renames the log and goes on in a new one. When it says that later lines are on the disk, those of the old one
// must be, too.
func (w *writer) rotate() error {
	w.rotations++
	to := fmt.Sprintf("%s.%d-%06d", guest.Log, 20_000_000+w.Boot, w.rotations)
	if err := os.Rename(guest.Log, to); err != nil {
		return err
	}
	if err := w.sync(); err != nil {
		return err
	}
	if err := w.file.Close(); err != nil {
		return err
	}
	return w.open()
}
