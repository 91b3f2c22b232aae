package store

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path"
	"time"

	"github.com/logpipe/logpipe/internal/conf"
)

// The defaults and bounds of a Config.
const (
	defaultBlockSize   = 256 << 20
	defaultCallTimeout = 30 * time.Second
	defaultClients     = 4

	// minBlockSize is dfs.namenode.fs-limits.min-block-size, and bytesPerChecksum is fixed in the client.
	minBlockSize     = 1 << 20
	bytesPerChecksum = 512
	maxReplication   = 512
	minCallTimeout   = time.Second
	maxCallTimeout   = 10 * time.Minute
	minClients       = 2
	maxClients       = 64
)

// Config says where the store is.
type Config struct {
	// URL of the root directory: hdfs://host:port/path, hdfs://nameservice/path with HadoopConfDir or NameNodes, or
	// file:///path.
	URL string `json:"url"`
	// NameNodes are the host:port addresses of a highly available pair, in place of the URL's host.
	NameNodes []string `json:"nameNodes,omitempty"`
	// HadoopConfDir holds core-site.xml and hdfs-site.xml, from which the NameNodes are read.
	HadoopConfDir string `json:"hadoopConfDir,omitempty"`
	// User to act as on HDFS without Kerberos. Default: HADOOP_USER_NAME or the process's user.
	User string `json:"user,omitempty"`
	// Replication of the files; 0 takes the server's default.
	Replication int `json:"replication,omitempty"`
	// BlockSize of the files, a multiple of 512. It is the most that fits in a file: one block is written per file. HDFS
	// reserves it on the DataNodes and from the quota for each file while that is being written. Default 256 MiB.
	BlockSize int64 `json:"blockSize,omitempty"`
	// CallTimeout bounds every call to a NameNode, with its repetitions, and every wait for a DataNode. Below 10s, files
	// that are open when a NameNode is lost fail even if it is back at once: the client waits 5s to call it. Default 30s.
	CallTimeout conf.Duration `json:"callTimeout,omitempty"`
	// Clients is how many connections to the NameNode are used: one makes one call at a time. Half of them are for the
	// files being written. At least 2. Default 4.
	Clients int `json:"clients,omitempty"`
}

// Default fills in what is not set.
func (c *Config) Default() {
	if c.BlockSize == 0 {
		c.BlockSize = defaultBlockSize
	}
	if c.CallTimeout == 0 {
		c.CallTimeout = conf.Duration(defaultCallTimeout)
	}
	if c.Clients == 0 {
		c.Clients = defaultClients
	}
}

// Validate reports every field that cannot be used. It expects the defaults to be filled in.
func (c *Config) Validate() error {
	errs := []error{c.validateURL()}
	for i, address := range c.NameNodes {
		if _, _, err := net.SplitHostPort(address); err != nil {
			errs = append(errs, conf.Invalid(fmt.Sprintf("nameNodes[%d]", i), address, "use host:port"))
		}
	}
	if c.Replication < 0 || c.Replication > maxReplication {
		remedy := fmt.Sprintf("use 1 to %d, or 0 for the server's default", maxReplication)
		errs = append(errs, conf.Invalid("replication", c.Replication, remedy))
	}
	if c.BlockSize < minBlockSize || c.BlockSize%bytesPerChecksum != 0 {
		remedy := fmt.Sprintf("use at least %d, and a multiple of %d", minBlockSize, bytesPerChecksum)
		errs = append(errs, conf.Invalid("blockSize", c.BlockSize, remedy))
	}
	if t := c.CallTimeout.Std(); t < minCallTimeout || t > maxCallTimeout {
		remedy := fmt.Sprintf("use %v to %v", minCallTimeout, maxCallTimeout)
		errs = append(errs, conf.Invalid("callTimeout", c.CallTimeout, remedy))
	}
	if c.Clients < minClients || c.Clients > maxClients {
		remedy := fmt.Sprintf("use %d to %d", minClients, maxClients)
		errs = append(errs, conf.Invalid("clients", c.Clients, remedy))
	}
	return errors.Join(errs...)
}

func (c *Config) validateURL() error {
	root, err := url.Parse(c.URL)
	switch {
	case err != nil:
		return conf.Invalid("url", c.URL, "use hdfs://host:port/path or file:///path")
	case root.User != nil || root.RawQuery != "" || root.Fragment != "":
		return conf.Invalid("url", c.URL, "leave out user, query and fragment")
	case root.Scheme == "file" && root.Host != "":
		return conf.Invalid("url", c.URL, "use three slashes: file:///path")
	case root.Scheme == "hdfs" && root.Host == "" && len(c.NameNodes) == 0 && c.HadoopConfDir == "":
		return conf.Invalid("url", c.URL, "name a host, or set nameNodes or hadoopConfDir")
	case root.Scheme != "file" && root.Scheme != "hdfs":
		return conf.Invalid("url", c.URL, "use hdfs:// or file://")
	case path.Clean(root.Path) != root.Path && path.Clean(root.Path)+"/" != root.Path:
		return conf.Invalid("url", c.URL, "end it with an absolute path without . or ..")
	case root.Scheme == "file" && (len(c.NameNodes) > 0 || c.HadoopConfDir != "" || c.User != "" || c.Replication != 0):
		return conf.Invalid("url", c.URL, "leave out nameNodes, hadoopConfDir, user and replication: they are for hdfs://")
	}
	return nil
}
