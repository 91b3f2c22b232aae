package kafka_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
)

func TestOnEmbeddedBroker(t *testing.T) {
	runSuite(t, fake(t, kfake.NumBrokers(1)).ListenAddrs())
}
