package kafka_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"

	"github.com/logpipe/logpipe/internal/conf"
	"github.com/logpipe/logpipe/internal/kafka"
)

func TestConfigValidate(t *testing.T) {
	tests := map[string]struct {
		config kafka.Config
		want   []string
	}{
		"addresses with ports are enough": {
			config: kafka.Config{BootstrapServers: []string{"kafka-0:9092", "[::1]:9092"}},
		},
		"at least one broker is needed": {
			want: []string{`bootstrapServers: invalid value "[]": name at least one broker as host:port`},
		},
		"an address has a host and a port": {
			config: kafka.Config{BootstrapServers: []string{"kafka", "kafka:", ":9092", "kafka:9092"}},
			want: []string{
				`bootstrapServers[0]: invalid value "kafka": use host:port`,
				`bootstrapServers[1]: invalid value "kafka:": use host:port`,
				`bootstrapServers[2]: invalid value ":9092": use host:port`,
			},
		},
		"durations are positive": {
			config: kafka.Config{
				BootstrapServers: []string{"kafka:9092"},
				DialTimeout:      conf.Duration(-time.Second), RequestTimeout: conf.Duration(-time.Second),
			},
			want: []string{
				`dialTimeout: invalid value -1s: use a positive duration`,
				`requestTimeout: invalid value -1s: use a positive duration`,
			},
		},
		"a certificate needs its key": {
			config: kafka.Config{BootstrapServers: []string{"kafka:9092"}, TLS: &kafka.TLS{CertFile: "tls.crt"}},
			want:   []string{`tls.keyFile: invalid value "": set it together with certFile, or neither`},
		},
		"a key needs its certificate": {
			config: kafka.Config{BootstrapServers: []string{"kafka:9092"}, TLS: &kafka.TLS{KeyFile: "tls.key"}},
			want:   []string{`tls.certFile: invalid value "": set it together with keyFile, or neither`},
		},
		"passwords are not sent in the clear": {
			config: kafka.Config{
				BootstrapServers: []string{"kafka:9092"},
				SASL:             &kafka.SASL{Mechanism: kafka.Plain, UsernameFile: "user", PasswordFile: "password"},
			},
			want: []string{
				`sasl.mechanism: invalid value "Plain": it sends the password as it is: set tls, or use ScramSha512`,
			},
		},
		"a mechanism and files are needed": {
			config: kafka.Config{BootstrapServers: []string{"kafka:9092"}, SASL: &kafka.SASL{Mechanism: "SCRAM"}},
			want: []string{
				`sasl.mechanism: invalid value "SCRAM": use Plain, ScramSha256 or ScramSha512`,
				`sasl.usernameFile: invalid value "": name the file that holds the user name`,
				`sasl.passwordFile: invalid value "": name the file that holds the password`,
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			if err := test.config.Validate(); err != nil {
				got = strings.Split(err.Error(), "\n")
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("errors (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSettingsOnWhichExactlyOnceRests(t *testing.T) {
	config := kafka.Config{BootstrapServers: []string{"kafka:9092"}}
	config.Default()
	got, err := config.Sarama()
	if err != nil {
		t.Fatal(err)
	}
	if got.Version != sarama.MaxVersion || got.Metadata.AllowAutoTopicCreation {
		t.Errorf("version %v, topics are created: %v", got.Version, got.Metadata.AllowAutoTopicCreation)
	}
	c := got.Consumer
	if c.IsolationLevel != sarama.ReadCommitted || c.Offsets.AutoCommit.Enable || c.Group.ResetInvalidOffsets {
		t.Errorf("consumer settings are %+v", c)
	}
	strategies := c.Group.Rebalance.GroupStrategies
	if len(strategies) != 1 || strategies[0].Name() != sarama.CooperativeStickyBalanceStrategyName {
		t.Errorf("strategies are %v", strategies)
	}
	if got.Metadata.Full || got.Net.MaxOpenRequests != kafka.MaxInFlight {
		t.Errorf("all topics are looked at: %v; requests in flight: %d", got.Metadata.Full, got.Net.MaxOpenRequests)
	}
}

func TestConnectNamesTheBrokersThatDoNotAnswer(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	refusing, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = refusing.Close()
	config := kafka.Config{
		BootstrapServers: []string{refusing.Addr().String(), silent.Addr().String()},
		DialTimeout:      conf.Duration(200 * time.Millisecond),
	}
	_, err = kafka.Connect(t.Context(), config, logr.Discard())
	for _, want := range []string{
		"bootstrapServers " + strings.Join(config.BootstrapServers, ","), "check the addresses",
		refusing.Addr().String() + ": connect: connection refused", silent.Addr().String() + ": no answer in time",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not contain %q", err, want)
		}
	}
}

func TestConnectEndsWithItsContext(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		if conn, err := silent.Accept(); err == nil {
			cancel()
			_, _ = conn.Read(make([]byte, 1<<10))
		}
	}()
	_, err = kafka.Connect(ctx, kafka.Config{BootstrapServers: []string{silent.Addr().String()}}, logr.Discard())
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
}
