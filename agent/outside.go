package agent

import (
	"context"
	"time"

	"github.com/go-logr/logr"

	"github.com/logpipe/logpipe/agent/tail"
	"github.com/logpipe/logpipe/internal/kafka"
)

// cluster is what an agent needs of Kafka; see kafka.Client.
type cluster interface {
	Topic(ctx context.Context, name string) (kafka.Topic, error)
	InitProducerID(ctx context.Context) (id int64, epoch int16, err error)
	LastSequence(ctx context.Context, topic string, partition int32, producerID int64) (int32, bool, error)
	ScanProducer(ctx context.Context, topic string, partition int32, offset, producerID int64) (int32, bool, error)
	Close() error

	newProducer(topic string, cfg kafka.ProducerConfig, log logr.Logger) producer
}

// producer sends batches; see kafka.Producer.
type producer interface {
	Send(b *kafka.Batch)
	Results() <-chan kafka.Result
	Status() map[int32]kafka.PartitionStatus
	Close()
}

// outside is what differs from one run to the next though all else is the same. A simulation has its own.
type outside struct {
	now func() time.Time
	// wall is what batches are dated by. Other than now, it may be set forward and back.
	wall    func() time.Time
	disk    tail.Disk // nil is the machine's
	connect func(ctx context.Context, cfg kafka.Config, log logr.Logger) (cluster, error)
}

func realOutside() outside {
	return outside{
		now: time.Now, wall: time.Now,
		connect: func(ctx context.Context, cfg kafka.Config, log logr.Logger) (cluster, error) {
			client, err := kafka.Connect(ctx, cfg, log)
			if err != nil {
				return nil, err
			}
			return realCluster{client}, nil
		},
	}
}

type realCluster struct{ *kafka.Client }

func (c realCluster) newProducer(topic string, cfg kafka.ProducerConfig, log logr.Logger) producer {
	return kafka.NewProducer(c.Client, topic, cfg, log)
}
