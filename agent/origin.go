package agent

import (
	"net/netip"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/logpipe/logpipe/agent/decode"
	"github.com/logpipe/logpipe/internal/record"
)

// origin is where a file's lines come from. It is resolved once, when the file is first seen, and journaled with it, so
// that neither a rename nor a changed label alters the key or the metadata of a batch that is sent again.
type origin struct {
	// Path the file was first seen under.
	Path string `json:"path"`
	// Pod is set for a container's log.
	Pod *podLog `json:"pod,omitempty"`
	// Stream is the only standard stream to read, "" reads both.
	Stream string `json:"stream,omitempty"`
	// Key is the partition key, unless it comes from each record or there is none.
	Key string `json:"key,omitempty"`
	// Labels hold the pod's labels that the metadata asks for.
	Labels map[string]string `json:"labels,omitempty"`
}

// podLog is what the kubelet's path says of a container's log.
type podLog struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	UID       string `json:"uid"`
	Container string `json:"container"`
}

// parsePodLog reads <root>/<namespace>_<pod>_<uid>/<container>/<restart>.log.
func parsePodLog(root, file string) (podLog, bool) {
	rest, ok := strings.CutPrefix(file, strings.TrimSuffix(root, "/")+"/")
	if !ok {
		return podLog{}, false
	}
	parts := strings.Split(rest, "/")
	if len(parts) != 3 {
		return podLog{}, false
	}
	pod := strings.Split(parts[0], "_")
	if len(pod) != 3 || pod[0] == "" || pod[1] == "" || pod[2] == "" {
		return podLog{}, false
	}
	return podLog{Namespace: pod[0], Name: pod[1], UID: pod[2], Container: parts[1]}, true
}

// selects tells whether the input reads the container's log. A pod whose labels are needed but not known yet is not
// selected: it will be at a later scan.
func (in *PodsInput) selects(pod podLog, pods *facts) bool {
	if len(in.Namespaces) > 0 && !slices.Contains(in.Namespaces, pod.Namespace) {
		return false
	}
	if include := in.Containers.Include; len(include) > 0 && !matchesAny(include, pod.Container) {
		return false
	}
	if matchesAny(in.Containers.Exclude, pod.Container) {
		return false
	}
	if len(in.MatchLabels) == 0 {
		return true
	}
	labels := pods.labels[pod.UID]
	for name, want := range in.MatchLabels {
		if got, ok := labels[name]; !ok || got != want {
			return false
		}
	}
	return true
}

func matchesAny(patterns []string, name string) bool {
	for _, pattern := range patterns {
		if ok, err := path.Match(pattern, name); err == nil && ok {
			return true
		}
	}
	return false
}

// origins resolves where files come from.
type origins struct {
	cfg         *Config
	now         func() time.Time
	nodes, pods *facts
}

// wants tells whether a record is of a stream that is read. A line without a stream is always read.
func (o *origin) wants(s decode.Stream) bool {
	return o.Stream == "" || s == decode.NoStream || strings.EqualFold(o.Stream, streamName(s))
}

// pod returns the pods input that selects the container's log, and what its path says, or nil for any other file.
func (o *origins) pod(file string) (*PodsInput, *podLog) {
	for i := range o.cfg.Inputs {
		if pods := o.cfg.Inputs[i].Pods; pods != nil {
			if pod, ok := parsePodLog(pods.Root, file); ok && pods.selects(pod, o.pods) {
				return pods, &pod
			}
		}
	}
	return nil, nil
}

// accepts tells whether a file that matches the patterns is to be read: any plain file, and the containers selected, as
// soon as the labels of their pods are known.
func (o *origins) accepts(file string) bool {
	for _, input := range o.cfg.Inputs {
		if input.Files != nil && input.Files.matches(file) {
			return true
		}
	}
	_, pod := o.pod(file)
	return pod != nil && o.pods.settled(pod.UID, o.now())
}

func (o *origins) resolve(file string) origin {
	out := origin{Path: file}
	input, pod := o.pod(file)
	if input != nil {
		out.Pod, out.Stream = pod, input.Stream
	}
	out.Key = o.key(file, out.Pod)
	if out.Pod == nil {
		return out
	}
	for _, field := range o.cfg.Metadata.Fields {
		if name, ok := strings.CutPrefix(field, podLabelPrefix); ok {
			if out.Labels == nil {
				out.Labels = map[string]string{}
			}
			out.Labels[name] = o.pods.labels[out.Pod.UID][name]
		}
	}
	return out
}

// key returns the partition key of a file's records, "" where it comes from each record or there is none.
func (o *origins) key(file string, pod *podLog) string {
	k, node := o.cfg.PartitionKey, o.cfg.Node
	var key string
	switch k.Type {
	case KeyNone, KeyField:
		return ""
	case KeyNode:
		key = node.Name
	case KeyNodeLabel:
		key = node.Labels[k.Label]
	case KeySubnet:
		key = subnet(node.IP, k.IPv4PrefixLength, k.IPv6PrefixLength)
	case KeyFile:
		key = filepath.Clean(file)
	case KeyStatic:
		key = k.Value
	case KeyNamespace:
		if pod != nil {
			key = pod.Namespace
		}
	case KeyPod:
		if pod != nil {
			key = pod.Namespace + "/" + pod.Name
		}
	case KeyPodLabel:
		if pod != nil {
			key = o.pods.labels[pod.UID][k.Label]
		}
	}
	if key == "" {
		return k.Fallback
	}
	return key
}

// subnet returns the network of ip in CIDR form, "" if ip is no address.
func subnet(ip string, bits4, bits6 int) string {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return ""
	}
	bits := bits6
	if addr = addr.Unmap(); addr.Is4() {
		bits = bits4
	}
	prefix, err := addr.Prefix(bits)
	if err != nil {
		return ""
	}
	return prefix.String()
}

// route returns the partition for a key: among those assigned to it, or among all n.
func route(key []byte, assignment map[string][]int32, n int32) int32 {
	if assigned := assignment[string(key)]; len(assigned) > 0 {
		return assigned[record.Partition(key, int32(len(assigned)))]
	}
	return record.Partition(key, n)
}

// fieldKey finds the key in JSON records.
type fieldKey struct {
	path     record.Path
	valid    bool
	fallback []byte
}

func newFieldKey(k PartitionKey) fieldKey {
	path, err := record.ParsePath(k.Field)
	return fieldKey{path: path, valid: err == nil, fallback: []byte(k.Fallback)}
}

// of returns the key that a record holds, or the fallback.
func (k fieldKey) of(value []byte) []byte {
	if k.valid {
		if text, ok := k.path.Lookup(value); ok {
			return []byte(text)
		}
	}
	return k.fallback
}
