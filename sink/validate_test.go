package sink

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/logpipe/logpipe/internal/conf"
	"github.com/logpipe/logpipe/internal/kafka"
)

func validConfig() Config {
	cfg := Config{Name: "logs/web", Topic: "web", Kafka: kafka.Config{BootstrapServers: []string{"kafka:9092"}}}
	cfg.Store.URL = "hdfs://namenode:8020/logs"
	cfg.Default()
	return cfg
}

func TestValidate(t *testing.T) {
	tests := map[string]struct {
		change   func(c *Config)
		wantErrs []string // beginnings of lines
	}{
		"the defaults are valid":     {change: func(*Config) {}},
		"a local directory will do":  {change: func(c *Config) { c.Store.URL = "file:///tmp/logs" }},
		"a name needs a namespace":   {func(c *Config) { c.Name = "web" }, []string{`name: invalid value "web": write`}},
		"a name must not climb":      {func(c *Config) { c.Name = "../web" }, []string{`name: invalid value "../web"`}},
		"a topic is required":        {func(c *Config) { c.Topic = "" }, []string{`topic: invalid value ""`}},
		"a topic must not be a path": {func(c *Config) { c.Topic = "a/b" }, []string{`topic: invalid value "a/b"`}},
		"a topic must not be dots":   {func(c *Config) { c.Topic = ".." }, []string{`topic: invalid value ".."`}},
		"brokers are required": {
			func(c *Config) { c.Kafka.BootstrapServers = nil }, []string{`kafka.bootstrapServers: `}},
		"the store is checked": {
			func(c *Config) { c.Store.URL = "s3://x" }, []string{`store.url: invalid value "s3://x"`}},
		"the format is checked": {
			func(c *Config) { c.File.Format = "CSV" }, []string{`file.format: invalid value "CSV"`}},
		"an unknown template field": {func(c *Config) { c.Path = "{host}" }, []string{`path: invalid value "{host}"`}},
		"an unknown time zone":      {func(c *Config) { c.TimeZone = "Mars" }, []string{`timeZone: invalid value "Mars"`}},
		"an unknown initial offset": {
			func(c *Config) { c.InitialOffset = "Newest" }, []string{`initialOffset: invalid value "Newest"`}},
		"a roll that is too small":    {func(c *Config) { c.Roll.MaxBytes = 1 }, []string{`roll.maxBytes: invalid value 1`}},
		"a roll that fills the block": {func(c *Config) { c.Roll.MaxBytes = c.Store.BlockSize }, []string{`roll.maxBytes: `}},
		"negative bounds": {
			func(c *Config) { c.Roll.MaxRecords, c.Roll.IdleTimeout, c.Roll.Interval = -1, -1, -1 },
			[]string{`roll.maxRecords: `, `roll.interval: `, `roll.idleTimeout: `}},
		"too many of everything": {
			func(c *Config) { c.MaxOpenFiles, c.MaxFetchesInFlight, c.FetchBytes = 5000, 100, 1<<30 },
			[]string{`maxOpenFiles: invalid value 5000: use 1 to 1000`, `maxFetchesInFlight: `, `fetchBytes: `}},
		"a session that brokers refuse": {
			func(c *Config) { c.SessionTimeout = conf.Duration(time.Second) }, []string{`sessionTimeout: invalid value 1s`}},
		"an address without a port": {
			func(c *Config) { c.Listen = "localhost" }, []string{`listen: invalid value "localhost"`}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := validConfig()
			test.change(&cfg)
			var got []string
			if err := cfg.Validate(); err != nil {
				got = strings.Split(err.Error(), "\n")
			}
			if len(got) != len(test.wantErrs) {
				t.Fatalf("got %d errors, want %d: %s", len(got), len(test.wantErrs), strings.Join(got, "\n"))
			}
			for i, want := range test.wantErrs {
				if !strings.HasPrefix(got[i], want) {
					t.Errorf("got %q, want it to begin with %q", got[i], want)
				}
			}
		})
	}
}

func TestDefault(t *testing.T) {
	cfg := Config{Name: "logs/web", Topic: "web"}
	cfg.Default()
	again := cfg
	again.Default()
	if diff := cmp.Diff(cfg, again); diff != "" {
		t.Errorf("defaults change what is set (-first +second):\n%s", diff)
	}
	if cfg.ConsumerGroup != "logpipe-logs-web" {
		t.Errorf("consumer group %q", cfg.ConsumerGroup)
	}
}
