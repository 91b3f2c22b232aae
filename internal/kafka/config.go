// Package kafka is the one place that makes sarama configurations, and what logpipe needs of Kafka beyond them: direct
// pipelined producing of sequenced batches, raw fetching, and topic administration.
package kafka

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/logpipe/logpipe/internal/conf"
)

const (
	defaultClientID       = "logpipe"
	defaultDialTimeout    = conf.Duration(10 * time.Second)
	defaultRequestTimeout = conf.Duration(30 * time.Second)
)

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
	// DialTimeout bounds a connection attempt, TLS handshake included. Default 10s.
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

// SASL names the mechanism and the files with the credentials, which are read again for every connection. Only a
// consumer group with the mechanism Plain keeps those of when it was opened.
type SASL struct {
	// Mechanism is required. Plain needs TLS, for it sends the password as it is.
	Mechanism Mechanism `json:"mechanism"`
	// UsernameFile and PasswordFile hold one line each.
	UsernameFile string `json:"usernameFile"`
	PasswordFile string `json:"passwordFile"`
}

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
	if c.TLS != nil {
		errs = append(errs, conf.Under("tls", c.TLS.validate()))
	}
	if c.SASL != nil {
		errs = append(errs, conf.Under("sasl", c.SASL.validate(c.TLS != nil)))
	}
	return errors.Join(errs...)
}

func (t TLS) validate() error {
	switch {
	case t.CertFile != "" && t.KeyFile == "":
		return conf.Invalid("keyFile", t.KeyFile, "set it together with certFile, or neither")
	case t.CertFile == "" && t.KeyFile != "":
		return conf.Invalid("certFile", t.CertFile, "set it together with keyFile, or neither")
	default:
		return nil
	}
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
	if s.UsernameFile == "" {
		errs = append(errs, conf.Invalid("usernameFile", s.UsernameFile, "name the file that holds the user name"))
	}
	if s.PasswordFile == "" {
		errs = append(errs, conf.Invalid("passwordFile", s.PasswordFile, "name the file that holds the password"))
	}
	return errors.Join(errs...)
}
