package store

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logpipe/logpipe/internal/conf"
)

func TestValidate(t *testing.T) {
	tests := map[string]struct {
		cfg  Config
		want string
	}{
		"a directory":        {Config{URL: "file:///data/logs"}, ""},
		"a NameNode":         {Config{URL: "hdfs://nn:8020/logs"}, ""},
		"the root of all":    {Config{URL: "hdfs://nn:8020/"}, ""},
		"a slash at the end": {Config{URL: "hdfs://nn:8020/logs/"}, ""},
		"a pair":             {Config{URL: "hdfs:///logs", NameNodes: []string{"a:8020", "b:8020"}}, ""},
		"nothing":            {Config{}, `url: invalid value "": use hdfs:// or file://`},
		"another scheme":     {Config{URL: "s3://b/x"}, `url: invalid value "s3://b/x": use hdfs:// or file://`},
		"no host":            {Config{URL: "hdfs:///x"}, "name a host, or set nameNodes or hadoopConfDir"},
		"no path":            {Config{URL: "hdfs://nn"}, "end it with an absolute path without . or .."},
		"a way up":           {Config{URL: "hdfs://nn/a/../b"}, "end it with an absolute path without . or .."},
		"two slashes":        {Config{URL: "file://data/logs"}, "use three slashes: file:///path"},
		"a password":         {Config{URL: "hdfs://a:b@nn/x"}, "leave out user, query and fragment"},
		"a user for files":   {Config{URL: "file:///x", User: "me"}, "leave out nameNodes, hadoopConfDir, user"},
		"no port": {
			Config{URL: "hdfs:///x", NameNodes: []string{"a:1", "b"}}, `nameNodes[1]: invalid value "b": use host:port`,
		},
		"a huge factor": {Config{URL: "hdfs://nn/x", Replication: 513}, "replication: invalid value 513: use 1 to 512"},
		"a small block": {Config{URL: "hdfs://nn/x", BlockSize: 4096}, "blockSize: invalid value 4096: use at least 1048"},
		"an odd block":  {Config{URL: "hdfs://nn/x", BlockSize: 1<<20 + 1}, "a multiple of 512"},
		"a hasty time-out": {
			Config{URL: "hdfs://nn/x", CallTimeout: conf.Duration(time.Millisecond)},
			"callTimeout: invalid value 1ms: use 1s to 10m0s",
		},
		"one client": {Config{URL: "hdfs://nn/x", Clients: 1}, "clients: invalid value 1: use 2 to 64"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.cfg.Default()
			err := test.cfg.Validate()
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want %q", err, test.want)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	var got Config
	got.Default()
	want := Config{BlockSize: 256 << 20, CallTimeout: conf.Duration(30 * time.Second), Clients: 4}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestNameNodes(t *testing.T) {
	pair := map[string]string{
		"fs.defaultFS":                            "hdfs://prod",
		"dfs.nameservices":                        "prod,test",
		"dfs.ha.namenodes.prod":                   "nn1, nn2",
		"dfs.namenode.rpc-address.prod.nn1":       "a:9000",
		"dfs.namenode.rpc-address.prod.nn2":       "b",
		"dfs.ha.namenodes.test":                   "nn1",
		"dfs.namenode.rpc-address.test.elsewhere": "c:9000",
	}
	tests := map[string]struct {
		url       string
		hadoop    map[string]string
		want      []string
		wantError string
	}{
		"of the URL":               {url: "hdfs://nn:9000/x", want: []string{"nn:9000"}},
		"of the URL, without port": {url: "hdfs://nn/x", want: []string{"nn:8020"}},
		"of the URL, by number":    {url: "hdfs://[::1]/x", want: []string{"[::1]:8020"}},
		"of the nameservice":       {url: "hdfs://prod/x", hadoop: pair, want: []string{"a:9000", "b:8020"}},
		"of the default":           {url: "hdfs:///x", hadoop: pair, want: []string{"a:9000", "b:8020"}},
		"of a host beside":         {url: "hdfs://other:1/x", hadoop: pair, want: []string{"other:1"}},
		"of a nameservice, in parts": {
			url: "hdfs://test/x", hadoop: pair, wantError: "set dfs.namenode.rpc-address.test.nn1",
		},
		"of no default": {
			url: "hdfs:///x", hadoop: map[string]string{"dfs.replication": "1"}, wantError: "set fs.defaultFS in core-site.xml",
		},
		"with Kerberos": {
			url: "hdfs://nn/x", hadoop: map[string]string{"hadoop.security.authentication": "kerberos"},
			wantError: "kerberos there, which is not supported yet",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			root, err := url.Parse(test.url)
			if err != nil {
				t.Fatal(err)
			}
			cfg := Config{URL: test.url, User: "me"}
			if test.hadoop != nil {
				cfg.HadoopConfDir = writeHadoop(t, test.hadoop)
			}
			options, err := clientOptions(cfg, root)
			if test.wantError != "" {
				if err == nil || !strings.Contains(err.Error(), test.wantError) {
					t.Errorf("got error %v, want %q", err, test.wantError)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, options.Addresses); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func writeHadoop(t *testing.T, values map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	xml := "<configuration>"
	for name, value := range values {
		xml += "<property><name>" + name + "</name><value>" + value + "</value></property>"
	}
	if err := os.WriteFile(filepath.Join(dir, "hdfs-site.xml"), []byte(xml+"</configuration>"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestHadoopConfDirIsEmpty(t *testing.T) {
	_, err := loadHadoop(t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "there is no core-site.xml and no hdfs-site.xml in it") {
		t.Errorf("got error %v", err)
	}
}

func TestUserName(t *testing.T) {
	t.Setenv("HADOOP_USER_NAME", "hadoop")
	if got, err := userName(""); got != "hadoop" || err != nil {
		t.Errorf("got %q and error %v, want the environment's", got, err)
	}
	if got, err := userName("me"); got != "me" || err != nil {
		t.Errorf("got %q and error %v, want what is set", got, err)
	}
	t.Setenv("HADOOP_USER_NAME", "")
	if got, err := userName(""); got == "" || err != nil {
		t.Errorf("got %q and error %v, want the process's", got, err)
	}
}
