package kafka

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/IBM/sarama"
	"github.com/rcrowley/go-metrics"
)

// maxBatchBytes bounds what a compressed batch may expand to. Brokers take batches of 1 MiB by default.
const maxBatchBytes = 256 << 20

// These settings of the libraries are global; they are made before anything can use them.
func init() {
	// sarama keeps histograms of every request, 170 KiB for each connection, that nobody reads here. It can't do without
	// a registry, but one of nothing will do.
	metrics.UseNilMetrics = true
	sarama.MaxDecompressedBatchSize = maxBatchBytes
}

// Sarama returns the configuration for c, which must have its defaults. Every setting on which exactly once rests is
// made here and nowhere else.
func (c Config) Sarama() (*sarama.Config, error) {
	s := sarama.NewConfig()
	s.Version = sarama.MaxVersion // it negotiates down; a lower one refuses admin calls to current brokers
	s.ClientID = c.ClientID
	s.ApiVersionsRequest = true
	s.ChannelBufferSize = 16
	s.Net.DialTimeout = c.DialTimeout.Std()
	s.Net.ReadTimeout = c.RequestTimeout.Std()
	s.Net.WriteTimeout = c.RequestTimeout.Std()
	s.Net.MaxOpenRequests = MaxInFlight
	s.Net.Proxy.Enable = true
	s.Net.Proxy.Dialer = dialFunc(c.connect)
	s.Metadata.Full = false // of a large cluster, one topic is of interest
	s.Metadata.AllowAutoTopicCreation = false
	s.Metadata.Timeout = c.RequestTimeout.Std()
	c.consumer(s)
	if c.SASL != nil {
		if err := c.SASL.apply(s); err != nil {
			return nil, err
		}
	}
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("configure Kafka client: %w", err)
	}
	return s, nil
}

// consumer makes the settings of reading. Positions are kept elsewhere: nothing may move one on its own.
func (c Config) consumer(s *sarama.Config) {
	s.Consumer.IsolationLevel = sarama.ReadCommitted
	s.Consumer.Fetch.Default = 1 << 20
	s.Consumer.MaxProcessingTime = time.Minute // a stalled HDFS is no reason to fetch again
	s.Consumer.Return.Errors = true
	s.Consumer.Offsets.AutoCommit.Enable = false
	s.Consumer.Offsets.Initial = sarama.OffsetOldest
	s.Consumer.Group.ResetInvalidOffsets = false
	s.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{
		sarama.NewBalanceStrategyCooperativeSticky(),
	}
}

// dialFunc opens a connection for sarama, which has a place for such a thing under the name of Proxy.
type dialFunc func(ctx context.Context, address string) (net.Conn, error)

// Dial opens a connection.
func (f dialFunc) Dial(_, address string) (net.Conn, error) { return f(context.Background(), address) }

// connect opens a connection to a broker, encrypted if so configured.
func (c Config) connect(ctx context.Context, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.DialTimeout.Std())
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil || c.TLS == nil {
		return conn, err
	}
	secured, err := c.TLS.handshake(ctx, conn, address)
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("TLS handshake with %s: %w", address, err)
	}
	return secured, nil
}
