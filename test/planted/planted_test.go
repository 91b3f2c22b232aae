// Package planted plants bugs in the agent and the sink, one at a time, and has the simulations find them: what they
// could not find they would not prove either. No file is changed; the compiler is given another text of it.
package planted

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/logpipe/logpipe/internal/simulation"
)

const (
	// seeds is how many worlds a bug may hide in: as many as CI runs.
	seeds = "10000"
	// patience bounds the building and the search of one bug.
	patience = 9 * time.Minute
)

// bug is one that was made, or could be: what it is, in which package, and the text that makes it.
type bug struct {
	what  string
	edits []edit
}

// edit replaces the only occurrence of a text in a file of the package, or below it.
type edit struct{ file, from, to string }

var found = regexp.MustCompile(`seed (\d+): (.*)`)

func TestPlantedBugsAreFound(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds each package once for each bug")
	}
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	for program, bugs := range map[string][]bug{"agent": agentBugs, "sink": sinkBugs} {
		for _, b := range bugs {
			t.Run(program+"/"+b.what, func(t *testing.T) {
				t.Parallel()
				slots <- struct{}{}
				defer func() { <-slots }()
				output, err := search(t, program, overlay(t, program, b.edits))
				seed := found.FindStringSubmatch(output)
				if err == nil || seed == nil {
					t.Fatalf("not found in %s seeds: %v\n%.4000s", seeds, err, output)
				}
				t.Logf("found by seed %s: %.150s", seed[1], seed[2])
			})
		}
	}
}

// overlay writes the files with a bug, and the list that tells the compiler to take them.
func overlay(t *testing.T, program string, edits []edit) string {
	t.Helper()
	dir, files := t.TempDir(), map[string]string{}
	for i, e := range edits {
		original, err := filepath.Abs(filepath.Join("..", "..", program, e.file))
		if err != nil {
			t.Fatal(err)
		}
		source := original
		if files[original] != "" {
			source = files[original] // edited before
		}
		text, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), e.from); n != 1 {
			t.Fatalf("%s has the text %d times, not once: plant the bug in another way\n%s", e.file, n, e.from)
		}
		files[original] = filepath.Join(dir, fmt.Sprintf("%d.go", i))
		text = bytes.Replace(text, []byte(e.from), []byte(e.to), 1)
		if err := os.WriteFile(files[original], text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	list, err := json.Marshal(map[string]any{"Replace": files})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(name, list, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// search runs the simulation of a program with the files of an overlay.
func search(t *testing.T, program, overlay string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "test", "-overlay", overlay, "-vet=off", "-count=1", "-run", "^TestSimulation$",
		"./"+program)
	cmd.Dir = filepath.Join("..", "..")
	cmd.Env = append(os.Environ(), simulation.SeedsVariable+"="+seeds)
	output, err := cmd.CombinedOutput()
	return string(output), err
}
