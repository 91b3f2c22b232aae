package desired

import (
	"path/filepath"

	corev1 "k8s.io/api/core/v1"

	"github.com/logpipe/logpipe/api/v1alpha1"
	"github.com/logpipe/logpipe/internal/kafka"
)

// caKey is the key of the authorities in a Secret, as cert-manager and service account tokens have it.
const caKey = "ca.crt"

// KafkaConfig says how to reach the cluster of spec, with the files of its Secrets below secretsDir.
func KafkaConfig(spec *v1alpha1.KafkaSpec, secretsDir string) kafka.Config {
	file := func(ref *v1alpha1.SecretRef, key string) string {
		if ref == nil {
			return ""
		}
		return filepath.Join(secretsDir, string(ref.Name), key)
	}
	cfg := kafka.Config{BootstrapServers: texts(spec.BootstrapServers)}
	if t := spec.TLS; t != nil {
		cfg.TLS = &kafka.TLS{
			CAFile:             file(t.CASecretRef, caKey),
			CertFile:           file(t.ClientCertSecretRef, corev1.TLSCertKey),
			KeyFile:            file(t.ClientCertSecretRef, corev1.TLSPrivateKeyKey),
			InsecureSkipVerify: t.InsecureSkipVerify,
		}
	}
	if s := spec.SASL; s != nil {
		cfg.SASL = &kafka.SASL{
			Mechanism:    kafka.Mechanism(s.Mechanism),
			UsernameFile: file(&s.SecretRef, corev1.BasicAuthUsernameKey),
			PasswordFile: file(&s.SecretRef, corev1.BasicAuthPasswordKey),
		}
	}
	return cfg
}

// SecretKey is a key of a Secret that must be there.
type SecretKey struct {
	Secret string
	Key    string
}

// KafkaSecretKeys lists the keys of Secrets that spec refers to.
func KafkaSecretKeys(spec *v1alpha1.KafkaSpec) []SecretKey {
	var out []SecretKey
	add := func(ref *v1alpha1.SecretRef, keys ...string) {
		if ref == nil {
			return
		}
		for _, key := range keys {
			out = append(out, SecretKey{Secret: string(ref.Name), Key: key})
		}
	}
	if t := spec.TLS; t != nil {
		add(t.CASecretRef, caKey)
		add(t.ClientCertSecretRef, corev1.TLSCertKey, corev1.TLSPrivateKeyKey)
	}
	if s := spec.SASL; s != nil {
		add(&s.SecretRef, corev1.BasicAuthUsernameKey, corev1.BasicAuthPasswordKey)
	}
	return out
}

// KafkaOf is the cluster of a resource: its own, or that of its Topic.
func KafkaOf(own *v1alpha1.KafkaSpec, topic *v1alpha1.Topic) *v1alpha1.KafkaSpec {
	if own != nil {
		return own
	}
	return &topic.Spec.Kafka
}
