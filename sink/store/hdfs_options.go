package store

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"os/user"
	"strings"

	"github.com/colinmarc/hdfs/v2"
	"github.com/colinmarc/hdfs/v2/hadoopconf"

	"github.com/logpipe/logpipe/internal/conf"
)

// defaultPort is the NameNode's where the address has none.
const defaultPort = "8020"

// clientOptions finds the NameNodes, and how to talk to them.
func clientOptions(cfg Config, root *url.URL) (hdfs.ClientOptions, error) {
	hadoop, err := loadHadoop(cfg.HadoopConfDir)
	if err != nil {
		return hdfs.ClientOptions{}, err
	}
	options := hdfs.ClientOptionsFromConf(hadoop)
	if options.KerberosClient != nil {
		remedy := "hadoop.security.authentication is kerberos there, which is not supported yet"
		return options, conf.Invalid("hadoopConfDir", cfg.HadoopConfDir, remedy)
	}
	if options.Addresses, err = nameNodes(cfg, root, hadoop); err != nil {
		return options, err
	}
	options.User, err = userName(cfg.User)
	return options, err
}

func loadHadoop(dir string) (hadoopconf.HadoopConf, error) {
	if dir == "" {
		return nil, nil
	}
	hadoop, err := hadoopconf.Load(dir)
	if err != nil {
		return nil, conf.Invalid("hadoopConfDir", dir, err.Error())
	}
	if hadoop == nil {
		return nil, conf.Invalid("hadoopConfDir", dir, "there is no core-site.xml and no hdfs-site.xml in it")
	}
	return hadoop, nil
}

// nameNodes returns the addresses of the NameNodes: those that are set, those of the nameservice that the URL or
// fs.defaultFS names, or the one in the URL.
func nameNodes(cfg Config, root *url.URL, hadoop hadoopconf.HadoopConf) ([]string, error) {
	if len(cfg.NameNodes) > 0 {
		return cfg.NameNodes, nil
	}
	host := root.Host
	if host == "" {
		defaultFS, err := url.Parse(hadoop["fs.defaultFS"])
		if err != nil || defaultFS.Scheme != "hdfs" || defaultFS.Host == "" {
			return nil, conf.Invalid("url", cfg.URL, "name a host, or set fs.defaultFS in core-site.xml to hdfs://...")
		}
		host = defaultFS.Host
	}
	ids := hadoop["dfs.ha.namenodes."+host]
	if ids == "" {
		return []string{withPort(host)}, nil
	}
	var addresses []string
	for id := range strings.SplitSeq(ids, ",") {
		key := fmt.Sprintf("dfs.namenode.rpc-address.%s.%s", host, strings.TrimSpace(id))
		if hadoop[key] == "" {
			return nil, conf.Invalid("hadoopConfDir", cfg.HadoopConfDir, "set "+key+" in hdfs-site.xml")
		}
		addresses = append(addresses, withPort(hadoop[key]))
	}
	return addresses, nil
}

func withPort(host string) string {
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), defaultPort)
}

// userName finds the user to act as, in the way of Hadoop's own clients.
func userName(name string) (string, error) {
	if name != "" {
		return name, nil
	}
	if name = os.Getenv("HADOOP_USER_NAME"); name != "" {
		return name, nil
	}
	current, err := user.Current()
	if err != nil {
		return "", conf.Invalid("user", "", fmt.Sprintf("set it: the process's own is not known (%v)", err))
	}
	return current.Username, nil
}
