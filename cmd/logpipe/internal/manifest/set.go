package manifest

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/logpipe/logpipe/api/v1alpha1"
)

// Set is what files hold.
type Set struct {
	Sources    []*v1alpha1.LogSource
	Topics     []*v1alpha1.Topic
	Sinks      []*v1alpha1.HDFSSink
	Secrets    []*corev1.Secret
	ConfigMaps []*corev1.ConfigMap
}

// Load reads files, directories and "-" (stdin), and checks what is in them: by the rules that the API server has, then
// by what agents and sinks would say, then against each other. Problems come in the order of the files; a set with
// problems is not to be used. The error is for what can't be read.
func Load(ctx context.Context, paths []string, stdin io.Reader) (*Set, []Problem, error) {
	documents, problems, err := readAll(paths, stdin)
	if err != nil {
		return nil, nil, err
	}
	known, err := schemas()
	if err != nil {
		return nil, nil, err
	}
	l := &loader{set: &Set{}, schemas: known, documents: map[metav1.Object]*document{}, seen: map[string]*document{}}
	l.problems = problems
	for _, d := range documents {
		if err := l.add(ctx, d); err != nil {
			return nil, nil, err
		}
	}
	l.checkReferences()
	if len(documents) == 0 && len(problems) == 0 {
		return nil, nil, fmt.Errorf("find objects in %s: there are none", strings.Join(paths, ", "))
	}
	files := map[string]int{}
	for i, d := range documents {
		if _, ok := files[d.file]; !ok {
			files[d.file] = i
		}
	}
	return l.set, order(l.problems, files), nil
}

// loader fills a set.
type loader struct {
	set       *Set
	schemas   map[string]*schema
	problems  []Problem
	documents map[metav1.Object]*document
	seen      map[string]*document
	// broken objects exist, so that references to them are right, but can't be used.
	broken []*document
}

func (l *loader) report(object metav1.Object, path, message string) {
	l.problems = append(l.problems, l.documents[object].problem(path, message))
}

func (l *loader) add(ctx context.Context, d *document) error {
	if problem := l.identify(d); problem != nil {
		l.problems = append(l.problems, *problem)
		return nil
	}
	if s := l.schemas[d.kind()]; s != nil {
		if problems := s.check(ctx, d); len(problems) > 0 {
			l.problems, l.broken = append(l.problems, problems...), append(l.broken, d)
			return nil
		}
	}
	return l.decode(d)
}

// identify looks at what says which object it is.
func (l *loader) identify(d *document) *Problem {
	versions := map[string]string{"Secret": "v1", "ConfigMap": "v1"}
	for kind, s := range l.schemas {
		versions[kind] = s.version
	}
	version, ok := versions[d.kind()]
	if !ok {
		kinds := []string{v1alpha1.KindLogSource, v1alpha1.KindTopic, v1alpha1.KindHDFSSink, "Secret", "ConfigMap"}
		message := fmt.Sprintf("Unsupported value: %q: use %s", d.kind(), strings.Join(kinds, ", "))
		if near := nearest(d.kind(), kinds); near != "" {
			message = fmt.Sprintf("Unsupported value: %q: did you mean %s?", d.kind(), near)
		}
		p := d.problem("kind", message)
		return &p
	}
	if got := d.text("apiVersion"); got != version {
		p := d.problem("apiVersion", fmt.Sprintf("Unsupported value: %q: use %s", got, version))
		return &p
	}
	if problems := validation.IsDNS1123Label(namespaceOf(d)); len(problems) > 0 {
		p := d.problem("metadata.namespace", fmt.Sprintf("Invalid value: %q: %s", namespaceOf(d), problems[0]))
		return &p
	}
	key := d.kind() + "/" + namespaceOf(d) + "/" + d.name()
	if other := l.seen[key]; other != nil && d.name() != "" {
		p := d.problem("metadata.name", fmt.Sprintf("Duplicate value: %q: it is also at %s:%d; keep one or rename one",
			d.name(), other.file, other.line))
		return &p
	}
	l.seen[key] = d
	return nil
}

func namespaceOf(d *document) string {
	return cmp.Or(d.text("metadata", "namespace"), metav1.NamespaceDefault)
}

// decode adds the object to the set.
func (l *loader) decode(d *document) error {
	switch d.kind() {
	case v1alpha1.KindLogSource:
		return into(l, d, &l.set.Sources, &v1alpha1.LogSource{})
	case v1alpha1.KindTopic:
		return into(l, d, &l.set.Topics, &v1alpha1.Topic{})
	case v1alpha1.KindHDFSSink:
		return into(l, d, &l.set.Sinks, &v1alpha1.HDFSSink{})
	case "Secret":
		return into(l, d, &l.set.Secrets, &corev1.Secret{})
	default:
		return into(l, d, &l.set.ConfigMaps, &corev1.ConfigMap{})
	}
}

func into[T metav1.Object](l *loader, d *document, list *[]T, object T) error {
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(d.object, object, true); err != nil {
		l.problems = append(l.problems, d.problem("", strings.TrimPrefix(err.Error(), "strict decoding error: ")))
		return nil
	}
	if errs := validateName(d); len(errs) > 0 {
		l.problems = append(l.problems, d.problem(errs[0].Field, errs[0].ErrorBody()))
		return nil
	}
	if object.GetNamespace() == "" {
		object.SetNamespace(metav1.NamespaceDefault)
	}
	l.documents[object] = d
	*list = append(*list, object)
	return nil
}

// Topic returns the Topic of that namespace and name, or nil.
func (s *Set) Topic(namespace string, name v1alpha1.ObjectName) *v1alpha1.Topic {
	return named(s.Topics, namespace, string(name))
}

// Secret returns the Secret of that namespace and name, or nil.
func (s *Set) Secret(namespace, name string) *corev1.Secret { return named(s.Secrets, namespace, name) }

// ConfigMap returns the ConfigMap of that namespace and name, or nil.
func (s *Set) ConfigMap(namespace, name string) *corev1.ConfigMap {
	return named(s.ConfigMaps, namespace, name)
}

func named[T metav1.Object](objects []T, namespace, name string) T {
	i := slices.IndexFunc(objects, func(o T) bool { return o.GetNamespace() == namespace && o.GetName() == name })
	if i < 0 {
		var none T
		return none
	}
	return objects[i]
}
