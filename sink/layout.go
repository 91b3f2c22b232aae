package sink

import (
	"fmt"
	"path"
	"strconv"
	"strings"
)

// controlDir holds what the sinks keep for themselves. Hive, Spark and the like skip names that begin with "_".
const controlDir = "_logpipe"

const (
	sessionsDir  = "sessions"
	commitsDir   = "commits"
	manifestName = "manifest.json"
	// startName is the manifest of the empty range before a partition's first commit. It pins where the chain begins.
	startName = "start.json"
	// fencedSuffix marks a session's directory that is being removed.
	fencedSuffix = ".fenced"
	// offsetDigits makes names sort by offset: every int64 has at most 19.
	offsetDigits = 20
)

// layout names the files and directories of one partition, relative to the store's root.
type layout struct {
	sink      string
	topic     string
	partition int32
}

// base is <root>/_logpipe/<sink>/<topic>/<partition>. A sink's name is namespace/name and has no underscore.
func (l layout) base() string {
	return path.Join(controlDir, strings.ReplaceAll(l.sink, "/", "_"), l.topic, strconv.Itoa(int(l.partition)))
}

func (l layout) sessions() string { return path.Join(l.base(), sessionsDir) }

func (l layout) session(id string) string { return path.Join(l.sessions(), id) }

func (l layout) commits() string { return path.Join(l.base(), commitsDir) }

func (l layout) commit(first int64) string { return path.Join(l.commits(), commitName(first)) }

func (l layout) start() string { return path.Join(l.base(), startName) }

// finalStem is the name of the visible files of a roll without the extension. Files of one roll lie in different
// directories; files of different rolls have different first offsets.
func (l layout) finalStem(first, last int64) string {
	return fmt.Sprintf("%s-%d-%s-%s", l.topic, l.partition, commitName(first), commitName(last))
}

func commitName(first int64) string { return fmt.Sprintf("%0*d", offsetDigits, first) }

// parseCommitName is the inverse of commitName. Anything else found among the commits was not put there by a sink.
func parseCommitName(name string) (first int64, ok bool) {
	first, err := strconv.ParseInt(name, 10, 64)
	if err != nil || first < 0 || commitName(first) != name {
		return 0, false
	}
	return first, true
}

// fileName is the name of a data file until it is published.
func fileName(n int) string { return fmt.Sprintf("%06d.data", n) }

func parseFileName(name string) bool {
	n, err := strconv.Atoi(strings.TrimSuffix(name, ".data"))
	return err == nil && n >= 0 && fileName(n) == name
}
