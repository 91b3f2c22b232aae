package main

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// The user that programs run as, unless a pod says otherwise. It has a name for libraries that ask who they are.
const (
	user   = "65532:65532"
	passwd = "root:x:0:0:root:/:/none\nnonroot:x:65532:65532:nonroot:/:/none\n"
	group  = "root:x:0:\nnonroot:x:65532:\n"
)

// file is a regular file of an image, or a directory that all may write to.
type file struct {
	path    string // without a slash in front; that of a directory ends with one
	mode    int64
	content []byte
}

func (f file) isDirectory() bool { return strings.HasSuffix(f.path, "/") }

// rootFiles are all files of an image. The last one is the program: what changes most is the uppermost layer.
func rootFiles(ctx context.Context, o options, program string) ([]file, error) {
	license, err := os.ReadFile(filepath.Join(o.repository, "LICENSE"))
	if err != nil {
		return nil, fmt.Errorf("read license: %w", err)
	}
	binary, err := compile(ctx, o, program)
	if err != nil {
		return nil, err
	}
	return []file{
		{path: "LICENSE", mode: 0o644, content: license},
		{path: "etc/group", mode: 0o644, content: []byte(group)},
		{path: "etc/passwd", mode: 0o644, content: []byte(passwd)},
		{path: "etc/ssl/certs/ca-certificates.crt", mode: 0o644, content: authorities()},
		{path: "tmp/", mode: 0o1777}, // the manager's, for secrets that a library wants as files
		{path: program, mode: 0o755, content: binary},
	}, nil
}

// authorities are Mozilla's roots, pinned by go.sum. Those that Mozilla trusts only for older certificates are left
// out: a file of certificates can't express that limit.
func authorities() []byte {
	var text bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			text.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}))
		}
	}
	return text.Bytes()
}

// compile builds a static binary that depends on nothing but the source and the Go release.
func compile(ctx context.Context, o options, program string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "logpipe-images-")
	if err != nil {
		return nil, fmt.Errorf("make temporary directory: %w", err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // what stays behind is only a file in the directory for such

	binary := filepath.Join(dir, program)
	// The state of the checkout is left out: it differs between a clone, an archive and a build context.
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", binary,
		"./cmd/"+program)
	cmd.Dir = o.repository
	cmd.Env = buildEnvironment(os.Environ(), o)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("build cmd/%s: %w", program, err)
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		return nil, fmt.Errorf("read binary: %w", err)
	}
	return content, nil
}

// buildEnvironment overrides whatever would change the binary with the machine. Where modules come from stays as it is.
func buildEnvironment(environment []string, o options) []string {
	kept := slices.DeleteFunc(environment, func(variable string) bool {
		return strings.HasPrefix(variable, "GOEXPERIMENT=") // no value of it says "as the release has it"
	})
	// None is empty: Go would take an empty one from the file that "go env -w" writes.
	return append(kept, "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+o.arch, "GOAMD64=v1", "GOARM64=v8.0", "GOFIPS140=off",
		"GOFLAGS=-trimpath", "GOWORK=off", "PWD="+o.repository)
}

// writeTrees writes the files of each image below a directory of its name.
func writeTrees(ctx context.Context, o options) error {
	for _, program := range programs {
		files, err := rootFiles(ctx, o, program)
		if err != nil {
			return fmt.Errorf("make files of %s: %w", program, err)
		}
		for _, f := range files {
			if err := f.write(filepath.Join(o.rootfs, program, f.path)); err != nil {
				return fmt.Errorf("write files of %s: %w", program, err)
			}
		}
	}
	return nil
}

func (f file) write(path string) error {
	if f.isDirectory() {
		if err := os.MkdirAll(path, 0o755); err != nil {
			return err
		}
		return os.Chmod(path, 0o777|os.ModeSticky)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, f.content, os.FileMode(f.mode))
}
