package sink

import (
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/logpipe/logpipe/sink/store"
)

// namenode is a file system in memory that behaves as store.Store says. It watches what readers see: a visible file may
// come, whole, and nothing may happen to it from then on.
type namenode struct {
	root *inode
	// fail is told what must not happen.
	fail func(format string, args ...any)
}

// inode is a directory, or a file, which is complete once it is closed.
type inode struct {
	name     string
	children map[string]*inode // nil in a file
	data     []byte
	size     int64 // of a file as its reader sees it
	open     bool
}

func newNamenode(fail func(string, ...any)) *namenode {
	return &namenode{root: &inode{name: ".", children: map[string]*inode{}}, fail: fail}
}

func notExist(op, name string) error { return &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist} }

func exists(op, name string) error { return &fs.PathError{Op: op, Path: name, Err: fs.ErrExist} }

// at returns what name leads to, nil if there is nothing.
func (n *namenode) at(name string) *inode {
	node := n.root
	if name == "." {
		return node
	}
	for part := range strings.SplitSeq(name, "/") {
		if node = node.children[part]; node == nil {
			return nil
		}
	}
	return node
}

// visible tells whether readers look at name.
func visible(name string) bool { return name != controlDir && !strings.HasPrefix(name, controlDir+"/") }

// parent returns the directory that name is in, nil if there is none.
func (n *namenode) parent(name string) *inode {
	dir := n.at(path.Dir(name))
	if dir == nil || dir.children == nil {
		return nil
	}
	return dir
}

func (n *namenode) mkdirAll(name string) error {
	node := n.root
	for part := range strings.SplitSeq(name, "/") {
		child := node.children[part]
		if child == nil {
			child = &inode{name: part, children: map[string]*inode{}}
			node.children[part] = child
		}
		if child.children == nil {
			return exists("mkdir", name)
		}
		node = child
	}
	return nil
}

func (n *namenode) mkdir(name string) error {
	dir := n.parent(name)
	switch {
	case dir == nil:
		return notExist("mkdir", name)
	case n.at(name) != nil:
		return exists("mkdir", name)
	}
	dir.children[path.Base(name)] = &inode{name: path.Base(name), children: map[string]*inode{}}
	return nil
}

func (n *namenode) create(name string) (*inode, error) {
	dir := n.parent(name)
	switch {
	case dir == nil:
		return nil, notExist("create", name)
	case n.at(name) != nil:
		return nil, exists("create", name)
	case visible(name):
		n.fail("%s is written where readers look", name)
	}
	file := &inode{name: path.Base(name), open: true}
	dir.children[file.name] = file
	return file, nil
}

// complete ends the writing of a file, of which lost bytes at the end did not arrive.
func (n *namenode) complete(name string, file *inode, lost int) error {
	if n.at(name) != file {
		return notExist("complete", name)
	}
	if !file.open {
		return nil
	}
	file.open = false
	file.data = file.data[:len(file.data)-lost]
	file.size = int64(len(file.data))
	return nil
}

// rename moves a directory or a file.
func (n *namenode) rename(from, to string, isDir bool) error {
	node, source, target := n.at(from), n.parent(from), n.parent(to)
	if node == nil || target == nil || (node.children != nil) != isDir {
		return notExist("rename", from)
	}
	there := n.at(to)
	switch {
	case isDir && there != nil && (there.children == nil || len(there.children) > 0):
		return store.ErrNotEmpty
	case !isDir && there != nil && there.children != nil:
		return exists("rename", to)
	}
	n.watch(node, there, from, to)
	delete(source.children, node.name)
	node.name = path.Base(to)
	target.children[node.name] = node
	return nil
}

// watch looks at a rename with the eyes of a reader.
func (n *namenode) watch(node, there *inode, from, to string) {
	switch {
	case visible(from):
		n.fail("%s was visible and is renamed to %s", from, to)
	case visible(to) && there != nil:
		n.fail("%s is visible and is replaced by %s", to, from)
	case visible(to) && node.open:
		n.fail("%s becomes visible as %s while it is being written", from, to)
	}
}

// remove takes name away. Where that is not one step, as below a directory of a disk, once is called before each.
func (n *namenode) remove(name string, once func()) {
	node := n.at(name)
	if node == nil {
		return
	}
	if visible(name) {
		n.fail("%s was visible and is removed", name)
	}
	if once != nil {
		for _, child := range node.sorted() {
			once()
			n.remove(path.Join(name, child.name), once)
		}
		once()
		if n.at(name) != node || len(node.children) > 0 {
			return // somebody has put something in, or has moved it
		}
	}
	delete(n.parent(name).children, node.name)
}

func (i *inode) sorted() []*inode {
	out := make([]*inode, 0, len(i.children))
	for _, child := range i.children {
		out = append(out, child)
	}
	slices.SortFunc(out, func(a, b *inode) int { return strings.Compare(a.name, b.name) })
	return out
}

// files calls do with all complete files that readers see.
func (n *namenode) files(do func(name string, data []byte)) {
	var walk func(dir string, node *inode)
	walk = func(dir string, node *inode) {
		for _, child := range node.sorted() {
			name := path.Join(dir, child.name)
			switch {
			case !visible(name):
			case child.children != nil:
				walk(name, child)
			default:
				do(name, child.data)
			}
		}
	}
	walk(".", n.root)
}

// info describes an inode as it was when it was asked for.
type info struct {
	name  string
	size  int64
	isDir bool
}

func (i *inode) info() fs.FileInfo { return info{name: i.name, size: i.size, isDir: i.children != nil} }

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) IsDir() bool        { return i.isDir }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) Sys() any           { return nil }
func (i info) Mode() fs.FileMode {
	if i.isDir {
		return fs.ModeDir
	}
	return 0
}
