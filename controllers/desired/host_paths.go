package desired

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/logpipe/logpipe/api/v1alpha1"
)

// HostPaths are the directories of a node that the agents of source read: of each input the part of its path that has
// no wildcard. What is not below one of the allowed roots is a Problem.
func HostPaths(source *v1alpha1.LogSource, roots []string) ([]string, []Problem) {
	var dirs []string
	var problems []Problem
	add := func(field, value, dir string) {
		if !slices.ContainsFunc(roots, func(root string) bool { return below(dir, root) }) {
			problems = append(problems, Problem{Field: field, Message: fmt.Sprintf(
				"Invalid value: %q: it reads %s, and agents may only read below %s: narrow the path, or have the "+
					"administrator allow the directory (--allowed-host-roots, in the chart allowedHostRoots)",
				value, dir, strings.Join(roots, ", "))})
			return
		}
		dirs = append(dirs, dir)
	}
	for i := range source.Spec.Inputs {
		in := &source.Spec.Inputs[i]
		if in.Pods != nil {
			add(fmt.Sprintf("spec.inputs[%d].pods.podLogsDir", i), in.Pods.PodLogsDir, path.Clean(in.Pods.PodLogsDir))
		}
		if in.Files == nil {
			continue
		}
		for j, pattern := range in.Files.Include {
			base, _ := doublestar.SplitPattern(path.Clean(string(pattern)))
			add(fmt.Sprintf("spec.inputs[%d].files.include[%d]", i, j), string(pattern), base)
		}
	}
	return outermost(dirs), problems
}

// outermost sorts dirs and leaves out those inside others.
func outermost(dirs []string) []string {
	slices.Sort(dirs)
	var out []string
	for _, dir := range dirs {
		if !slices.ContainsFunc(out, func(outer string) bool { return below(dir, outer) }) {
			out = append(out, dir)
		}
	}
	return out
}

// below tells whether dir is root or inside it.
func below(dir, root string) bool {
	root = strings.TrimSuffix(path.Clean(root), "/")
	return dir == root || strings.HasPrefix(dir, root+"/")
}
