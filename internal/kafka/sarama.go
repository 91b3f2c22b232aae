package kafka

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"hash"
	"net"
	"os"
	"time"

	"github.com/IBM/sarama"
	"github.com/rcrowley/go-metrics"
	"github.com/xdg-go/scram"

	"github.com/logpipe/logpipe/internal/conf"
)

const (
	defaultClientID       = "logpipe"
	defaultDialTimeout    = conf.Duration(10 * time.Second)
	defaultRequestTimeout = conf.Duration(30 * time.Second)
	// maxOpenRequests is per connection: five batches of each of a dozen partitions.
	maxOpenRequests = 64
)

// Default fills in what is not set.
func (c *Config) Default() {
	if c.ClientID == "" {
		c.ClientID = defaultClientID
	}
	if c.DialTimeout == 0 {
		c.DialTimeout = defaultDialTimeout
	}
	if c.RequestTimeout == 0 {
		c.RequestTimeout = defaultRequestTimeout
	}
}

// Validate returns everything that is wrong with c, each error naming the field, its value and what to do.
func (c Config) Validate() error {
	var errs []error
	if len(c.BootstrapServers) == 0 {
		errs = append(errs, conf.Invalid("bootstrapServers", "[]", "name at least one broker as host:port"))
	}
	for i, address := range c.BootstrapServers {
		if host, port, err := net.SplitHostPort(address); err != nil || host == "" || port == "" {
			errs = append(errs, conf.Invalid(fmt.Sprintf("bootstrapServers[%d]", i), address, "use host:port"))
		}
	}
	if c.DialTimeout < 0 {
		errs = append(errs, conf.Invalid("dialTimeout", c.DialTimeout, "use a positive duration"))
	}
	if c.RequestTimeout < 0 {
		errs = append(errs, conf.Invalid("requestTimeout", c.RequestTimeout, "use a positive duration"))
	}
	if t := c.TLS; t != nil && (t.CertFile == "") != (t.KeyFile == "") {
		errs = append(errs, conf.Invalid("tls.certFile", t.CertFile, "set certFile and keyFile, or neither"))
	}
	if c.SASL != nil {
		errs = append(errs, conf.Under("sasl", c.SASL.validate(c.TLS != nil)))
	}
	return errors.Join(errs...)
}

func (s SASL) validate(encrypted bool) error {
	var errs []error
	switch s.Mechanism {
	case ScramSHA256, ScramSHA512:
	case Plain:
		if !encrypted {
			errs = append(errs, conf.Invalid("mechanism", string(s.Mechanism),
				"it sends the password as it is: set tls, or use ScramSha512"))
		}
	default:
		errs = append(errs, conf.Invalid("mechanism", string(s.Mechanism), "use Plain, ScramSha256 or ScramSha512"))
	}
	for field, file := range map[string]string{"usernameFile": s.UsernameFile, "passwordFile": s.PasswordFile} {
		if file == "" {
			errs = append(errs, conf.Invalid(field, file, "it is required"))
		}
	}
	return errors.Join(errs...)
}

// Sarama returns the configuration for c, which must have its defaults. Every setting on which exactly once rests is
// made here and nowhere else.
func (c Config) Sarama() (*sarama.Config, error) {
	// sarama counts every request in histograms that nobody reads here; without them it needs a registry all the same.
	metrics.UseNilMetrics = true
	s := sarama.NewConfig()
	s.Version = sarama.MaxVersion // it negotiates down; a lower one refuses admin calls to current brokers
	s.ClientID = c.ClientID
	s.ApiVersionsRequest = true
	s.Net.DialTimeout = c.DialTimeout.Std()
	s.Net.ReadTimeout = c.RequestTimeout.Std()
	s.Net.WriteTimeout = c.RequestTimeout.Std()
	s.Net.MaxOpenRequests = maxOpenRequests
	s.Metadata.Full = false
	s.Metadata.AllowAutoTopicCreation = false
	s.Metadata.Retry.Max = 1 // callers wait and try again themselves, and say so
	s.Metadata.Timeout = c.RequestTimeout.Std()
	s.Admin.Timeout = c.RequestTimeout.Std()
	s.ChannelBufferSize = 16
	s.Consumer.IsolationLevel = sarama.ReadCommitted
	s.Consumer.Offsets.AutoCommit.Enable = false
	s.Consumer.Offsets.Initial = sarama.OffsetOldest
	s.Consumer.Group.ResetInvalidOffsets = false
	s.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{
		sarama.NewBalanceStrategyCooperativeSticky(),
	}
	s.Consumer.MaxProcessingTime = time.Minute // a stalled HDFS is no reason to fetch again
	s.Consumer.Return.Errors = true
	if c.TLS != nil {
		s.Net.TLS.Enable = true
		s.Net.TLS.Config = c.TLS.config()
	}
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

// config reads certificates anew for every connection, so that a rotated one needs no restart.
func (t TLS) config() *tls.Config {
	out := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: t.InsecureSkipVerify}
	if t.CertFile != "" {
		out.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			cert, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
			if err != nil {
				return nil, fmt.Errorf("load client certificate: %w", err)
			}
			return &cert, nil
		}
	}
	if t.CAFile != "" && !t.InsecureSkipVerify {
		// crypto/tls takes fixed authorities only, so its check is replaced by the same one with those of now.
		out.InsecureSkipVerify = true
		out.VerifyConnection = t.verify
	}
	return out
}

func (t TLS) verify(state tls.ConnectionState) error {
	pem, err := os.ReadFile(t.CAFile)
	if err != nil {
		return fmt.Errorf("read authorities: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return conf.Invalid("tls.caFile", t.CAFile, "it holds no PEM certificate")
	}
	others := x509.NewCertPool()
	for _, cert := range state.PeerCertificates[1:] {
		others.AddCert(cert)
	}
	_, err = state.PeerCertificates[0].Verify(x509.VerifyOptions{
		DNSName: state.ServerName, Roots: roots, Intermediates: others,
	})
	return err
}

func (s SASL) apply(config *sarama.Config) error {
	user, password, err := s.credentials()
	if err != nil {
		return err
	}
	net := &config.Net.SASL
	net.Enable, net.Handshake, net.Version = true, true, sarama.SASLHandshakeV1
	net.User, net.Password = user, password
	switch s.Mechanism {
	case ScramSHA256:
		net.Mechanism = sarama.SASLTypeSCRAMSHA256
		net.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return &scramClient{sasl: s, hash: sha256.New} }
	case ScramSHA512:
		net.Mechanism = sarama.SASLTypeSCRAMSHA512
		net.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return &scramClient{sasl: s, hash: sha512.New} }
	default:
		net.Mechanism = sarama.SASLTypePlaintext
	}
	return nil
}

func (s SASL) credentials() (user, password string, err error) {
	name, err := os.ReadFile(s.UsernameFile)
	if err != nil {
		return "", "", fmt.Errorf("read sasl.usernameFile: %w", err)
	}
	secret, err := os.ReadFile(s.PasswordFile)
	if err != nil {
		return "", "", fmt.Errorf("read sasl.passwordFile: %w", err)
	}
	return string(bytes.TrimSpace(name)), string(bytes.TrimRight(secret, "\r\n")), nil
}

// scramClient is one SCRAM conversation (RFC 5802) with the credentials of the moment.
type scramClient struct {
	sasl SASL
	hash func() hash.Hash
	*scram.ClientConversation
}

// Begin implements sarama.SCRAMClient.
func (c *scramClient) Begin(_, _, authzID string) error {
	user, password, err := c.sasl.credentials()
	if err != nil {
		return err
	}
	client, err := scram.HashGeneratorFcn(c.hash).NewClient(user, password, authzID)
	if err != nil {
		return fmt.Errorf("prepare SCRAM: %w", err)
	}
	c.ClientConversation = client.NewConversation()
	return nil
}
