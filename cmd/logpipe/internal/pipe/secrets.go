package pipe

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/logpipe/logpipe/api/v1alpha1"
	"github.com/logpipe/logpipe/cmd/logpipe/internal/manifest"
	"github.com/logpipe/logpipe/controllers/desired"
)

// hadoopFiles are what a ConfigMap for an HDFSSink holds.
var hadoopFiles = []string{"core-site.xml", "hdfs-site.xml"}

// checkRunnable returns what the API server would not mind and a pipe without Kubernetes can't do without.
func checkRunnable(set *manifest.Set) error {
	var errs []error
	for _, topic := range set.Topics {
		errs = append(errs, checkKafka(set, topic, v1alpha1.KindTopic, &topic.Spec.Kafka))
	}
	for _, source := range set.Sources {
		errs = append(errs, checkKafka(set, source, v1alpha1.KindLogSource, source.Spec.Kafka))
		for i, input := range source.Spec.Inputs {
			if input.Pods != nil && input.Pods.PodSelector != nil {
				errs = append(errs, fmt.Errorf("LogSource/%s: spec.inputs[%d].pods.podSelector: the labels of pods are known "+
					"only in a cluster: select by namespace and container, or run it there", source.Name, i))
			}
		}
	}
	for _, sink := range set.Sinks {
		errs = append(errs, checkKafka(set, sink, v1alpha1.KindHDFSSink, sink.Spec.Kafka), checkHadoop(set, sink))
	}
	return errors.Join(errs...)
}

func checkKafka(set *manifest.Set, object metav1.Object, kind string, kafka *v1alpha1.KafkaSpec) error {
	if kafka == nil {
		return nil
	}
	var errs []error
	for _, need := range desired.KafkaSecretKeys(kafka) {
		if secret := set.Secret(object.GetNamespace(), need.Secret); secret == nil || !hasKey(secret, need.Key) {
			errs = append(errs, fmt.Errorf("%s/%s: spec.kafka: Secret/%s with key %s is not in the given files: add it",
				kind, object.GetName(), need.Secret, need.Key))
		}
	}
	return errors.Join(errs...)
}

func checkHadoop(set *manifest.Set, sink *v1alpha1.HDFSSink) error {
	ref := sink.Spec.HDFS.ConfigMapRef
	if ref == nil {
		return nil
	}
	var errs []error
	for _, key := range hadoopFiles {
		if m := set.ConfigMap(sink.Namespace, string(ref.Name)); m == nil || m.Data[key] == "" {
			errs = append(errs, fmt.Errorf("HDFSSink/%s: spec.hdfs.configMapRef: ConfigMap/%s with key %s is not in the "+
				"given files: add it", sink.Name, ref.Name, key))
		}
	}
	return errors.Join(errs...)
}

func hasKey(secret *corev1.Secret, key string) bool {
	return len(secret.Data[key]) > 0 || secret.StringData[key] != ""
}

// secretFiles are the Secrets and ConfigMaps as files, as a pod has them mounted.
type secretFiles struct{ dir string }

// writeSecrets writes them where only this user can read them. What an earlier pipe left behind is removed.
func writeSecrets(set *manifest.Set, dir string) (_ *secretFiles, err error) {
	files := &secretFiles{dir: filepath.Join(dir, "mounts")}
	if err := os.RemoveAll(files.dir); err != nil {
		return nil, fmt.Errorf("remove old secrets: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(files.dir))
		}
	}()
	for _, secret := range set.Secrets {
		at := filepath.Join(files.secretsDir(secret.Namespace), secret.Name)
		for key, value := range secret.Data {
			if err := writeKey(at, key, value); err != nil {
				return nil, err
			}
		}
		for key, value := range secret.StringData { // overrides, as in the API server
			if err := writeKey(at, key, []byte(value)); err != nil {
				return nil, err
			}
		}
	}
	for _, m := range set.ConfigMaps {
		at := filepath.Join(files.configMapsDir(m.Namespace), m.Name)
		for key, value := range m.Data {
			if err := writeKey(at, key, []byte(value)); err != nil {
				return nil, err
			}
		}
	}
	return files, nil
}

func writeKey(dir, key string, value []byte) error {
	if problems := validation.IsConfigMapKey(key); len(problems) > 0 {
		return fmt.Errorf("use key %q of %s: %s", key, filepath.Base(dir), strings.Join(problems, "; "))
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make directory for secrets: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, key), value, 0o600); err != nil {
		return fmt.Errorf("write secret: %w", err)
	}
	return nil
}

func (s *secretFiles) secretsDir(namespace string) string {
	return filepath.Join(s.dir, "secrets", namespace)
}

func (s *secretFiles) configMapsDir(namespace string) string {
	return filepath.Join(s.dir, "configmaps", namespace)
}

func (s *secretFiles) remove(log logr.Logger) {
	if err := os.RemoveAll(s.dir); err != nil {
		log.Error(err, "Secrets are still on disk, remove them", "directory", s.dir)
	}
}
