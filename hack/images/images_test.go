package main

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"debug/elf"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

const version = "v0.3.0-rc.1"

// build makes the archives from the source at repository.
func build(t *testing.T, repository string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	o := options{
		repository: repository, registry: "ghcr.io/logpipe", version: version, arch: runtime.GOARCH, out: dir,
	}
	if err := run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	return dir
}

// copySource copies what a build context has: no history, nothing that was built.
func copySource(t *testing.T, from string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(dir, relative)
		if entry.IsDir() {
			if entry.Name() == ".git" || relative == "bin" {
				return filepath.SkipDir
			}
			return os.MkdirAll(target, 0o700) // modes of the checkout must not matter either
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, content, 0o600)
	})
	if err != nil {
		t.Fatalf("copy source: %v", err)
	}
	return dir
}

func TestTheSameSourceElsewhereGivesTheSameImages(t *testing.T) {
	here := build(t, filepath.Join("..", ".."))
	t.Setenv("GOAMD64", "v3")
	t.Setenv("GOFLAGS", "-ldflags=-X=main.other=1")
	there := build(t, copySource(t, filepath.Join("..", "..")))

	for _, file := range []string{"manager.tar", "agent.tar", "sink.tar", "digests.txt"} {
		first, err := os.ReadFile(filepath.Join(here, file))
		if err != nil {
			t.Fatal(err)
		}
		second, err := os.ReadFile(filepath.Join(there, file))
		if err != nil {
			t.Fatal(err)
		}
		if len(first) == 0 || !bytes.Equal(first, second) {
			t.Errorf("%s: %d and %d bytes, want the same", file, len(first), len(second))
		}
	}
}

func TestAnotherVersionGivesAnotherImage(t *testing.T) {
	files := []file{{path: "agent", mode: 0o755, content: []byte("x")}, {path: "agent2", mode: 0o755}}
	digests := map[v1.Hash]bool{}
	for _, version := range []string{"v0.1.0", "v0.1.1"} {
		image, err := assemble(options{version: version, arch: "amd64"}, "agent", files)
		if err != nil {
			t.Fatal(err)
		}
		digest, err := image.Digest()
		if err != nil {
			t.Fatal(err)
		}
		digests[digest] = true
	}
	if len(digests) != 2 {
		t.Errorf("%d digests, want 2", len(digests))
	}
}

func TestArchivesHoldWhatAPodNeeds(t *testing.T) {
	dir := build(t, filepath.Join("..", ".."))
	for _, program := range programs {
		t.Run(program, func(t *testing.T) {
			tag, err := name.NewTag("ghcr.io/logpipe/" + program + ":" + version)
			if err != nil {
				t.Fatal(err)
			}
			image, err := tarball.ImageFromPath(filepath.Join(dir, program+".tar"), &tag)
			if err != nil {
				t.Fatal(err)
			}
			checkConfig(t, program, image)
			checkFiles(t, program, image)
		})
	}
}

func checkConfig(t *testing.T, program string, image v1.Image) {
	t.Helper()
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	want := v1.Config{
		Entrypoint: []string{"/" + program},
		User:       "65532:65532",
		WorkingDir: "/",
		Labels: map[string]string{
			"org.opencontainers.image.title":    titles[program],
			"org.opencontainers.image.source":   "https://github.com/logpipe/logpipe",
			"org.opencontainers.image.version":  version,
			"org.opencontainers.image.licenses": "Apache-2.0",
		},
	}
	if diff := cmp.Diff(want, config.Config); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
	if titles[program] == "" {
		t.Error("no title")
	}
	if got, want := config.OS+"/"+config.Architecture, "linux/"+runtime.GOARCH; got != want {
		t.Errorf("platform %s, want %s", got, want)
	}
}

func checkFiles(t *testing.T, program string, image v1.Image) {
	t.Helper()
	modes, contents := readTree(t, image)
	want := map[string]int64{
		"LICENSE": 0o644, "etc/": 0o755, "etc/group": 0o644, "etc/passwd": 0o644, "etc/ssl/": 0o755,
		"etc/ssl/certs/": 0o755, "etc/ssl/certs/ca-certificates.crt": 0o644, "tmp/": 0o1777, program: 0o755,
	}
	if diff := cmp.Diff(want, modes); diff != "" {
		t.Errorf("files and modes (-want +got):\n%s", diff)
	}
	checkAuthorities(t, contents["etc/ssl/certs/ca-certificates.crt"])

	binary, err := elf.NewFile(bytes.NewReader(contents[program]))
	if err != nil {
		t.Fatalf("read program: %v", err)
	}
	for _, segment := range binary.Progs {
		if segment.Type == elf.PT_INTERP {
			t.Error("the program wants a dynamic linker, want it static")
		}
	}
}

func readTree(t *testing.T, image v1.Image) (modes map[string]int64, contents map[string][]byte) {
	t.Helper()
	modes, contents = map[string]int64{}, map[string][]byte{}
	tree := mutate.Extract(image)
	defer tree.Close()
	for r := tar.NewReader(tree); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return modes, contents
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Uid != 0 || header.Gid != 0 || !header.ModTime.Equal(epoch) {
			t.Errorf("%s: owner %d:%d, time %s", header.Name, header.Uid, header.Gid, header.ModTime)
		}
		path := header.Name
		if header.Typeflag == tar.TypeDir {
			path = filepath.Clean(path) + "/"
		}
		modes[path] = header.Mode
		if contents[path], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}

func checkAuthorities(t *testing.T, text []byte) {
	t.Helper()
	names := 0
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if !certificate.IsCA {
			t.Errorf("%s is no authority", certificate.Subject)
		}
		names++
	}
	if len(text) > 0 || names < 100 {
		t.Errorf("%d authorities and %d bytes that are none, want 100 or more, and 0", names, len(text))
	}
}
