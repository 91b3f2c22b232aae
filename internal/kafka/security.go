package kafka

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"hash"
	"net"
	"os"

	"github.com/IBM/sarama"
	"github.com/xdg-go/scram"

	"github.com/logpipe/logpipe/internal/conf"
)

// handshake encrypts a connection. It is not left to sarama, which would keep the certificates of when it started.
func (t TLS) handshake(ctx context.Context, conn net.Conn, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	config, err := t.config(host)
	if err != nil {
		return nil, err
	}
	secured := tls.Client(conn, config)
	return secured, secured.HandshakeContext(ctx)
}

func (t TLS) config(host string) (*tls.Config, error) {
	config := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         host,
		InsecureSkipVerify: t.InsecureSkipVerify, //nolint:gosec // only where the user asks for it
	}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read tls.caFile: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, conf.Invalid("tls.caFile", t.CAFile, "it holds no certificate in PEM format")
		}
	}
	if t.CertFile != "" {
		certificate, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("load tls.certFile and tls.keyFile: %w", err)
		}
		config.Certificates = []tls.Certificate{certificate}
	}
	return config, nil
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
