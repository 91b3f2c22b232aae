package store_test

import (
	"testing"

	"github.com/logpipe/logpipe/sink/store"
	"github.com/logpipe/logpipe/sink/store/storetest"
)

func TestLab(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		s, err := store.Open(t.Context(), store.Config{URL: "hdfs://127.0.0.1:29000/conf", User: "root"})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}
