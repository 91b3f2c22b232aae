package kafka_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/logpipe/logpipe/internal/conf"
	"github.com/logpipe/logpipe/internal/kafka"
)

// certificate is one that signs itself, as files and as what a server needs.
type certificate struct {
	certFile, keyFile string
	pair              tls.Certificate
	parsed            *x509.Certificate
}

func newCertificate(t *testing.T, address string) certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: t.Name()}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.ParseIP(address)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	c := certificate{certFile: filepath.Join(dir, "tls.crt"), keyFile: filepath.Join(dir, "tls.key")}
	write(t, c.certFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write(t, c.keyFile, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
	if c.pair, err = tls.LoadX509KeyPair(c.certFile, c.keyFile); err != nil {
		t.Fatal(err)
	}
	c.parsed = c.pair.Leaf
	return c
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTLS(t *testing.T) {
	broker, client := newCertificate(t, "127.0.0.1"), newCertificate(t, "127.0.0.1")
	stranger, misnamed := newCertificate(t, "127.0.0.1"), newCertificate(t, "127.0.0.2")
	trusted := x509.NewCertPool()
	trusted.AddCert(client.parsed)
	serve := func(c certificate, auth tls.ClientAuthType) []string {
		return fake(t, kfake.NumBrokers(1), kfake.TLS(&tls.Config{
			Certificates: []tls.Certificate{c.pair}, ClientAuth: auth, ClientCAs: trusted,
		})).ListenAddrs()
	}
	plain := fake(t, kfake.NumBrokers(1)).ListenAddrs()
	secured := serve(broker, tls.NoClientCert)
	mutual := serve(broker, tls.RequireAndVerifyClientCert)
	tests := map[string]struct {
		brokers []string
		tls     *kafka.TLS
		want    string
	}{
		"a broker whose certificate is signed by the authority is trusted": {
			brokers: secured, tls: &kafka.TLS{CAFile: broker.certFile},
		},
		"a broker with another authority is not": {
			brokers: secured, tls: &kafka.TLS{CAFile: stranger.certFile}, want: "certificate signed by unknown authority",
		},
		"a broker with a certificate for another address is not": {
			brokers: serve(misnamed, tls.NoClientCert), tls: &kafka.TLS{CAFile: misnamed.certFile},
			want: "certificate is valid for 127.0.0.2, not 127.0.0.1",
		},
		"any certificate will do if it need not be verified": {
			brokers: secured, tls: &kafka.TLS{InsecureSkipVerify: true},
		},
		"the client shows its certificate": {
			brokers: mutual, tls: &kafka.TLS{CAFile: broker.certFile, CertFile: client.certFile, KeyFile: client.keyFile},
		},
		"a client without a certificate is refused": {
			brokers: mutual, tls: &kafka.TLS{CAFile: broker.certFile}, want: "certificate required",
		},
		"a file without a certificate is no authority": {
			brokers: secured, tls: &kafka.TLS{CAFile: broker.keyFile}, want: "it holds no certificate in PEM format",
		},
		"a missing file is named": {
			brokers: secured, tls: &kafka.TLS{CAFile: "/not/there"}, want: "read tls.caFile: open /not/there",
		},
		"a broker that speaks no TLS is an error": {brokers: plain, tls: &kafka.TLS{}, want: "TLS handshake"},
		"TLS is needed where the broker has it":   {brokers: secured, want: "connect to 127.0.0.1"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := kafka.Config{BootstrapServers: test.brokers, TLS: test.tls, DialTimeout: conf.Duration(2 * time.Second)}
			client, err := kafka.Connect(t.Context(), cfg, logr.Discard())
			check(t, err, test.want)
			if err == nil {
				_ = client.Close()
			}
		})
	}
}

// check compares an error with a part of its text, "" for none.
func check(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("error %v", err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("error %v, want one with %q", err, want)
	}
}

func TestSASL(t *testing.T) {
	certificate := newCertificate(t, "127.0.0.1")
	brokers := fake(t, kfake.NumBrokers(1), kfake.EnableSASL(),
		kfake.TLS(&tls.Config{Certificates: []tls.Certificate{certificate.pair}}),
		kfake.Superuser("PLAIN", "user", "plain secret"),
		kfake.Superuser("SCRAM-SHA-256", "user", "secret of 256"),
		kfake.Superuser("SCRAM-SHA-512", "user", "secret of 512"),
	).ListenAddrs()
	for mechanism, password := range map[kafka.Mechanism]string{
		kafka.Plain: "plain secret", kafka.ScramSHA256: "secret of 256", kafka.ScramSHA512: "secret of 512",
	} {
		t.Run(string(mechanism), func(t *testing.T) {
			dir := t.TempDir()
			cfg := kafka.Config{
				BootstrapServers: brokers,
				TLS:              &kafka.TLS{CAFile: certificate.certFile},
				SASL: &kafka.SASL{
					Mechanism: mechanism, UsernameFile: filepath.Join(dir, "user"), PasswordFile: filepath.Join(dir, "password"),
				},
			}
			write(t, cfg.SASL.UsernameFile, "user\n")
			write(t, cfg.SASL.PasswordFile, "wrong")
			_, err := kafka.Connect(t.Context(), cfg, logr.Discard())
			check(t, err, "check the addresses, tls and sasl") // Kafka says more, the embedded broker hangs up
			if err != nil && strings.Contains(err.Error(), "wrong") {
				t.Errorf("error %v shows the password", err)
			}
			write(t, cfg.SASL.PasswordFile, password+"\n")
			connect(t, cfg)
		})
	}
}

// TestCredentialsAreReadAgain lets a client live through a change of the password: it has to open a connection for
// a partition after that.
func TestCredentialsAreReadAgain(t *testing.T) {
	dir := t.TempDir()
	cfg := kafka.Config{SASL: &kafka.SASL{
		Mechanism: kafka.ScramSHA256, UsernameFile: filepath.Join(dir, "user"), PasswordFile: filepath.Join(dir, "password"),
	}}
	cfg.BootstrapServers = fake(t, kfake.NumBrokers(1), kfake.EnableSASL(), kfake.SeedTopics(1, "topic"),
		kfake.Superuser("SCRAM-SHA-256", "old", "first"), kfake.Superuser("SCRAM-SHA-256", "new", "second")).ListenAddrs()
	write(t, cfg.SASL.UsernameFile, "old")
	write(t, cfg.SASL.PasswordFile, "first")
	client := connect(t, cfg)
	write(t, cfg.SASL.PasswordFile, "no longer valid")
	fetcher := kafka.NewFetcher(client, "topic", 0, logr.Discard())
	defer fetcher.Close()
	_, err := fetcher.Fetch(t.Context(), 0, 1<<20)
	check(t, err, "connect to ")
	write(t, cfg.SASL.UsernameFile, "new")
	write(t, cfg.SASL.PasswordFile, "second")
	_, err = fetcher.Fetch(t.Context(), 0, 1<<20)
	check(t, err, "")
}
