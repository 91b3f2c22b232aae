package kafka

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/go-logr/logr"
)

// Errors that callers act on.
var (
	// ErrTopicNotFound means that there is no such topic; logpipe's programs never create one by writing to it.
	ErrTopicNotFound = errors.New("topic not found")
	// ErrNotAuthorized means that an ACL is missing; the message says which.
	ErrNotAuthorized = errors.New("not authorized")
)

// Client asks a Kafka cluster. It opens connections as they are needed, and again when they break, so that it outlives
// any broker. It is safe for concurrent use.
type Client struct {
	cfg       Config
	log       logr.Logger
	connected time.Time
	sarama    sarama.Client
	life      context.Context //nolint:containedctx // it is the client's life, ended by Close
	end       context.CancelFunc

	mu       sync.Mutex
	known    []string
	start    int
	contacts map[string]*contact
}

// Connect returns a client once a broker has answered. It tries each bootstrap server once and doesn't wait for any to
// come back: a caller that runs for long tries again.
func Connect(ctx context.Context, cfg Config, log logr.Logger) (*Client, error) {
	cfg.Default()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configure Kafka: %w", err)
	}
	config, err := cfg.Sarama()
	if err != nil {
		return nil, fmt.Errorf("configure Kafka: %w", err)
	}
	c := &Client{
		cfg: cfg, log: log, connected: time.Now(), start: rand.IntN(1 << 16),
		known: cfg.BootstrapServers, contacts: map[string]*contact{},
	}
	c.life, c.end = context.WithCancel(context.WithoutCancel(ctx))
	if err := c.askAny(ctx, func(*sarama.Broker) error { return nil }); err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("connect to Kafka at bootstrapServers %s (check the addresses, tls and sasl): %w",
			strings.Join(cfg.BootstrapServers, ","), err)
	}
	if c.sarama, err = sarama.NewClient(cfg.BootstrapServers, config); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Close closes the connections. Questions that wait for an answer fail with sarama.ErrClosedClient, later ones too. The
// connections of producers and fetchers are closed with these, not here.
func (c *Client) Close() error {
	c.end()
	c.mu.Lock()
	contacts := c.contacts
	c.contacts = map[string]*contact{}
	c.mu.Unlock()
	for _, who := range contacts {
		who.turn <- struct{}{}
		who.hangUp()
		<-who.turn
	}
	if c.sarama == nil {
		return nil
	}
	return c.sarama.Close()
}

// Sarama returns a client of sarama's own, for what this package does not do. It knows the topics that it was asked for
// and no others: whoever opens sarama's admin interface calls RefreshMetadata with a topic first.
func (c *Client) Sarama() sarama.Client { return c.sarama }

// metadata asks for one topic.
func (c *Client) metadata(ctx context.Context, topic string) (*sarama.MetadataResponse, error) {
	var response *sarama.MetadataResponse
	err := c.askAny(ctx, func(broker *sarama.Broker) (err error) {
		response, err = broker.GetMetadata(sarama.NewMetadataRequest(sarama.MaxVersion, []string{topic}))
		if err == nil && (len(response.Topics) != 1 || len(response.Brokers) == 0) {
			err = sarama.ErrIncompleteResponse // from a broker that is just starting
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	c.learn(response.Brokers)
	return response, nil
}

// leader returns the address of a partition's leader, and the id of the topic.
func (c *Client) leader(ctx context.Context, topic string, partition int32) (
	address string, id sarama.Uuid, err error,
) {
	metadata, err := c.metadata(ctx, topic)
	if err != nil {
		return "", id, fmt.Errorf("find leader of %s/%d: %w", topic, partition, err)
	}
	found := metadata.Topics[0]
	if err := topicError(found); err != nil {
		return "", id, err
	}
	i := slices.IndexFunc(found.Partitions, func(p *sarama.PartitionMetadata) bool { return p.ID == partition })
	if i < 0 {
		return "", id, fmt.Errorf("find leader of %s/%d: %w", topic, partition, sarama.ErrUnknownTopicOrPartition)
	}
	address = addressOf(metadata, found.Partitions[i].Leader)
	if address == "" {
		return "", id, fmt.Errorf("find leader of %s/%d: %w", topic, partition, sarama.ErrLeaderNotAvailable)
	}
	return address, found.Uuid, nil
}

func addressOf(metadata *sarama.MetadataResponse, id int32) string {
	for _, broker := range metadata.Brokers {
		if broker.ID() == id {
			return broker.Addr()
		}
	}
	return ""
}

// topicError words what metadata says about a topic.
func topicError(topic *sarama.TopicMetadata) error {
	switch topic.Err {
	case sarama.ErrNoError:
		return nil
	case sarama.ErrUnknownTopicOrPartition:
		return fmt.Errorf("topic %s: %w: create it first, or apply a Topic resource", topic.Name, ErrTopicNotFound)
	case sarama.ErrTopicAuthorizationFailed:
		return fmt.Errorf("topic %s: %w: grant DESCRIBE on the topic, and the right to use it", topic.Name, ErrNotAuthorized)
	default:
		return fmt.Errorf("describe topic %s: %w", topic.Name, topic.Err)
	}
}

// askLeader puts a question to a partition's leader.
func (c *Client) askLeader(ctx context.Context, topic string, partition int32, ask func(*sarama.Broker) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.RequestTimeout.Std())
	defer cancel()
	return whileChanging(ctx, func() error {
		address, _, err := c.leader(ctx, topic, partition)
		if err != nil {
			return err
		}
		return c.ask(ctx, address, ask)
	})
}

// InitProducerID asks for a producer id that was never used (KIP-98); its epoch is 0.
func (c *Client) InitProducerID(ctx context.Context) (id int64, epoch int16, err error) {
	var response *sarama.InitProducerIDResponse
	err = whileChanging(ctx, func() error {
		return c.askAny(ctx, func(broker *sarama.Broker) (err error) {
			request := &sarama.InitProducerIDRequest{Version: 4, ProducerID: -1, ProducerEpoch: -1}
			if response, err = broker.InitProducerID(request); err == nil && response.Err != sarama.ErrNoError {
				err = response.Err
			}
			return err
		})
	})
	switch {
	case errors.Is(err, sarama.ErrClusterAuthorizationFailed):
		return 0, 0, fmt.Errorf("get a producer id: %w: grant IDEMPOTENT_WRITE on the cluster, or WRITE on the topic",
			ErrNotAuthorized)
	case err != nil:
		return 0, 0, fmt.Errorf("get a producer id: %w", err)
	default:
		return response.ProducerID, response.ProducerEpoch, nil
	}
}

// LastSequence returns the last sequence number that the partition's leader has of a producer (KIP-664). found is false
// if it has none: the producer never wrote there, or was idle for longer than producer.id.expiration.ms (1 day by
// default). It needs READ on the topic (ErrNotAuthorized).
func (c *Client) LastSequence(ctx context.Context, topic string, partition int32, producerID int64) (
	sequence int32, found bool, err error,
) {
	var states []sarama.ProducerState
	err = c.askLeader(ctx, topic, partition, func(leader *sarama.Broker) (err error) {
		states, err = describeProducers(leader, topic, partition)
		return err
	})
	switch {
	case errors.Is(err, sarama.ErrTopicAuthorizationFailed):
		return 0, false, fmt.Errorf("describe producers of %s: %w: grant READ on the topic", topic, ErrNotAuthorized)
	case err != nil:
		return 0, false, fmt.Errorf("describe producers of %s/%d: %w", topic, partition, err)
	}
	i := slices.IndexFunc(states, func(s sarama.ProducerState) bool {
		return s.ProducerID == producerID && s.LastSequence >= 0
	})
	if i < 0 {
		return 0, false, nil
	}
	return states[i].LastSequence, true, nil
}

func describeProducers(leader *sarama.Broker, topic string, partition int32) ([]sarama.ProducerState, error) {
	response, err := leader.DescribeProducers(&sarama.DescribeProducersRequest{
		Topics: []sarama.DescribeProducersRequestTopic{{Name: topic, PartitionIndexes: []int32{partition}}},
	})
	if err != nil {
		return nil, err
	}
	if len(response.Topics) != 1 || len(response.Topics[0].Partitions) != 1 {
		return nil, sarama.ErrIncompleteResponse
	}
	p := response.Topics[0].Partitions[0]
	if p.ErrorCode != sarama.ErrNoError {
		return nil, p.ErrorCode
	}
	return p.ActiveProducers, nil
}

// Offsets returns the first offset of a partition's log and the one that its next record will have.
func (c *Client) Offsets(ctx context.Context, topic string, partition int32) (start, end int64, err error) {
	err = c.askLeader(ctx, topic, partition, func(leader *sarama.Broker) (err error) {
		if start, err = offset(leader, topic, partition, sarama.OffsetOldest); err == nil {
			end, err = offset(leader, topic, partition, sarama.OffsetNewest)
		}
		return err
	})
	if err != nil {
		return 0, 0, fmt.Errorf("list offsets of %s/%d: %w", topic, partition, err)
	}
	return start, end, nil
}

func offset(leader *sarama.Broker, topic string, partition int32, at int64) (int64, error) {
	request := sarama.NewOffsetRequest(sarama.MaxVersion)
	request.AddBlock(topic, partition, at, 1)
	response, err := leader.GetAvailableOffsets(request)
	if err != nil {
		return 0, err
	}
	block := response.GetBlock(topic, partition)
	switch {
	case block == nil:
		return 0, sarama.ErrIncompleteResponse
	case block.Err != sarama.ErrNoError:
		return 0, block.Err
	case len(block.Offsets) != 1:
		return 0, sarama.ErrIncompleteResponse
	default:
		return block.Offsets[0], nil
	}
}
