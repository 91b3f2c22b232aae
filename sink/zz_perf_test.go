package sink

import (
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/logpipe/logpipe/internal/conf"
	"github.com/logpipe/logpipe/test/servers"
)

func TestZZPerf(t *testing.T) {
	if os.Getenv("SINK_PERF") == "" {
		t.Skip()
	}
	p := newPipe(t, servers.Kafka(t, 1), servers.HDFS(t, 1), 12)
	n, _ := strconv.Atoi(os.Getenv("SINK_PERF"))
	for i := 0; i < n; i += 2000 {
		p.produce(2000)
	}
	p.cfg.Roll.MaxBytes = 32 << 20
	p.cfg.Roll.Interval = conf.Duration(10 * time.Second)
	p.cfg.MaxFetchesInFlight, _ = strconv.Atoi(os.Getenv("SINK_FETCHES"))
	p.cfg.Default()
	start := time.Now()
	cmd := p.spawn(p.cfg)
	p.until("all", func() bool { time.Sleep(200 * time.Millisecond); return p.committed() == p.produced() })
	took := time.Since(start)
	_ = cmd.Process.Signal(syscall.SIGTERM)
	_ = cmd.Wait()
	var bytes int64
	for _, name := range p.visible() {
		info, _ := p.files.Stat(name)
		bytes += info.Size()
	}
	ru := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	cpu := (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
	gib := float64(bytes) / (1 << 30)
	t.Logf("%d lines, %.2f GiB in %s: %.1f CPU s/GiB (user %.2f sys %.2f), %d MiB RSS", p.produced(), gib, took, cpu/gib,
		cmd.ProcessState.UserTime().Seconds(), cmd.ProcessState.SystemTime().Seconds(), ru.Maxrss/1024)
}
