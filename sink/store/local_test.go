package store_test

import (
	"testing"

	"github.com/logpipe/logpipe/sink/store"
	"github.com/logpipe/logpipe/sink/store/storetest"
)

func TestLocal(t *testing.T) {
	root := store.Config{URL: "file://" + t.TempDir() + "/made/by/open"}
	storetest.Run(t, func(t *testing.T) store.Store {
		s, err := store.Open(t.Context(), root)
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}
