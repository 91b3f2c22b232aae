// Package kafka is the one place that makes sarama configurations, and what logpipe needs of Kafka beyond them: direct
// pipelined producing of sequenced batches, raw fetching, and topic administration.
package kafka

import "github.com/logpipe/logpipe/internal/conf"

// Config says how to reach and authenticate to a Kafka cluster.
type Config struct {
	// BootstrapServers are host:port addresses; one that answers is enough.
	BootstrapServers []string `json:"bootstrapServers"`
	// TLS is used when set.
	TLS *TLS `json:"tls,omitempty"`
	// SASL is used when set.
	SASL *SASL `json:"sasl,omitempty"`
	// ClientID is shown in the brokers' logs and quotas. Default "logpipe".
	ClientID string `json:"clientID,omitempty"`
	// DialTimeout bounds a connection attempt. Default 10s.
	DialTimeout conf.Duration `json:"dialTimeout,omitempty"`
	// RequestTimeout bounds the wait for an answer. Default 30s.
	RequestTimeout conf.Duration `json:"requestTimeout,omitempty"`
}

// TLS names PEM files. They are read again for every connection, so that a rotated certificate needs no restart.
type TLS struct {
	// CAFile holds the authorities to trust; empty trusts the system's.
	CAFile string `json:"caFile,omitempty"`
	// CertFile and KeyFile are the client's certificate and key; both or neither.
	CertFile string `json:"certFile,omitempty"`
	KeyFile  string `json:"keyFile,omitempty"`
	// InsecureSkipVerify turns off the check of the broker's certificate.
	InsecureSkipVerify bool `json:"insecureSkipVerify,omitempty"`
}

// Mechanism is a SASL mechanism.
type Mechanism string

// The SASL mechanisms.
const (
	Plain       Mechanism = "Plain"
	ScramSHA256 Mechanism = "ScramSha256"
	ScramSHA512 Mechanism = "ScramSha512"
)

// SASL names the mechanism and the files with the credentials, which are read again for every connection.
type SASL struct {
	Mechanism    Mechanism `json:"mechanism"`
	UsernameFile string    `json:"usernameFile"`
	PasswordFile string    `json:"passwordFile"`
}
