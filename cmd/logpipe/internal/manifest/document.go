// Package manifest reads resources from YAML files and says what is wrong with them, as the API server would, and more.
package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	goyaml "go.yaml.in/yaml/v3"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"
)

// maxFileBytes bounds a file: etcd takes no object above 1.5 MiB, and a file with many is still far below this.
const maxFileBytes = 16 << 20

// Stdin is the path that stands for the standard input.
const Stdin = "-"

// document is one object of a file.
type document struct {
	file   string
	line   int // where the document begins
	tree   *goyaml.Node
	object map[string]any
}

// readAll reads the documents of all files. Directories stand for the YAML and JSON files in them.
func readAll(paths []string, stdin io.Reader) ([]*document, []Problem, error) {
	files, err := expand(paths)
	if err != nil {
		return nil, nil, err
	}
	var documents []*document
	var problems []Problem
	for _, file := range files {
		data, err := readFile(file, stdin)
		if err != nil {
			return nil, nil, err
		}
		found, bad := parse(displayName(file), data)
		documents, problems = append(documents, found...), append(problems, bad...)
	}
	return documents, problems, nil
}

func displayName(file string) string {
	if file == Stdin {
		return "<stdin>"
	}
	return file
}

func expand(paths []string) ([]string, error) {
	var files []string
	for _, path := range paths {
		if path == Stdin {
			files = append(files, path)
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("find file: %w", err)
		}
		if !info.IsDir() {
			files = append(files, path)
			continue
		}
		entries, err := os.ReadDir(path)
		if err != nil {
			return nil, fmt.Errorf("list directory: %w", err)
		}
		before := len(files)
		for _, entry := range entries {
			if slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(entry.Name())) && !entry.IsDir() {
				files = append(files, filepath.Join(path, entry.Name()))
			}
		}
		if len(files) == before {
			return nil, fmt.Errorf("find files: no .yaml, .yml or .json file in directory %s", path)
		}
	}
	return files, nil
}

func readFile(file string, stdin io.Reader) ([]byte, error) {
	in := stdin
	if file != Stdin {
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("open file: %w", err)
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, maxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", displayName(file), err)
	}
	if len(data) > maxFileBytes {
		return nil, fmt.Errorf("read %s: it is longer than %d bytes", displayName(file), maxFileBytes)
	}
	return data, nil
}

// parse takes a file apart into its documents.
func parse(file string, data []byte) ([]*document, []Problem) {
	var documents []*document
	var problems []Problem
	// Empty lines before each document keep the lines that parsers report those of the file.
	before := 0
	for _, text := range split(data) {
		padded := append(bytes.Repeat([]byte{'\n'}, before), text...)
		before += bytes.Count(text, []byte{'\n'})
		d, err := parseOne(file, padded)
		switch {
		case err != nil:
			problems = append(problems, syntaxProblem(file, padded, err))
		case d != nil:
			documents = append(documents, d)
		}
	}
	return documents, problems
}

// split cuts at the lines that begin with "---", as kubectl does; they stay with what follows.
func split(data []byte) [][]byte {
	var out [][]byte
	start := 0
	for i := range data {
		if (i == 0 || data[i-1] == '\n') && bytes.HasPrefix(data[i:], []byte("---")) && i > start {
			out = append(out, data[start:i])
			start = i
		}
	}
	return append(out, data[start:])
}

// parseOne returns nil if there is nothing but comments.
func parseOne(file string, text []byte) (*document, error) {
	tree := &goyaml.Node{}
	if err := goyaml.NewDecoder(bytes.NewReader(text)).Decode(tree); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		return nil, err
	}
	root := tree.Content[0]
	if root.Kind == goyaml.ScalarNode && root.Tag == "!!null" {
		return nil, nil
	}
	// What the API server gets is what kubectl's parser makes of the text; the tree only knows the lines.
	asJSON, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return nil, err
	}
	if root.Kind != goyaml.MappingNode {
		return nil, fmt.Errorf("line %d: write an object with apiVersion, kind, metadata and spec", root.Line)
	}
	d := &document{file: file, line: root.Line, tree: root}
	if err := utiljson.Unmarshal(asJSON, &d.object); err != nil {
		return nil, fmt.Errorf("line %d: %w", root.Line, err)
	}
	return d, nil
}

func syntaxProblem(file string, text []byte, err error) Problem {
	message := err.Error()
	for _, prefix := range []string{"error converting YAML to JSON: ", "yaml: ", "unmarshal errors:\n  "} {
		message = strings.TrimPrefix(message, prefix)
	}
	message, _, _ = strings.Cut(message, "\n")
	p := Problem{File: file, Line: 1, Message: "not YAML: " + message}
	var rest string
	if n, _ := fmt.Sscanf(message, "line %d: %s", &p.Line, &rest); n == 2 {
		_, what, _ := strings.Cut(message, ": ")
		p.Message = "not YAML: " + what
	}
	if bytes.ContainsRune(text, '\t') && strings.Contains(message, "cannot start any token") {
		p.Message += " (indent with spaces, not with tabs)"
	}
	return p
}

func (d *document) text(path ...string) string {
	var value any = d.object
	for _, key := range path {
		fields, _ := value.(map[string]any)
		value = fields[key]
	}
	text, _ := value.(string)
	return text
}

func (d *document) kind() string { return d.text("kind") }
func (d *document) name() string { return d.text("metadata", "name") }

// id is how messages call the object.
func (d *document) id() string {
	switch {
	case d.kind() == "":
		return "object"
	case d.name() == "":
		return d.kind()
	}
	return d.kind() + "/" + d.name()
}

// problem places a message at a field of the object; "" is the object as a whole.
func (d *document) problem(field, message string) Problem {
	return Problem{File: d.file, Line: d.lineOf(field), Object: d.id(), Field: field, Message: message}
}

// lineOf returns the line of a field such as spec.inputs[0].files, or of the nearest one around it.
func (d *document) lineOf(field string) int {
	node, line := d.tree, d.line
	for field != "" {
		child, at, rest := step(node, field)
		if child == nil {
			return line
		}
		node, line, field = child, at, rest
	}
	return line
}

// step goes to the child of node that field begins with. Names may contain dots, so that the longest one counts.
func step(node *goyaml.Node, field string) (child *goyaml.Node, line int, rest string) {
	if node.Kind == goyaml.AliasNode {
		node = node.Alias
	}
	field = strings.TrimPrefix(field, ".")
	if node.Kind == goyaml.SequenceNode {
		var index int
		if n, _ := fmt.Sscanf(field, "[%d]", &index); n != 1 || index >= len(node.Content) {
			return nil, 0, ""
		}
		child = node.Content[index]
		return child, child.Line, field[strings.IndexByte(field, ']')+1:]
	}
	best := -1
	for i := 0; node.Kind == goyaml.MappingNode && i+1 < len(node.Content); i += 2 {
		name := node.Content[i].Value
		for _, form := range []string{name, "[" + name + "]"} {
			tail, ok := strings.CutPrefix(field, form)
			if ok && form != "" && len(form) > best && (tail == "" || tail[0] == '.' || tail[0] == '[') {
				best, child, line, rest = len(form), node.Content[i+1], node.Content[i].Line, tail
			}
		}
	}
	return child, line, rest
}
