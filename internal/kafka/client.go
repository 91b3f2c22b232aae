package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

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

// Client is a connection to a Kafka cluster.
type Client struct {
	cfg    Config
	sarama sarama.Client
	log    logr.Logger
}

// Topic is what is known of a topic at one moment.
type Topic struct {
	Name string
	// ID changes when the topic is deleted and made anew (KIP-516).
	ID        string
	ClusterID string
	// Partitions counts them; they are numbered from 0.
	Partitions int32
	// MaxMessageBytes is the topic's max.message.bytes, 0 if it may not be asked for (DESCRIBE_CONFIGS on the topic).
	MaxMessageBytes int
}

// Connect opens a connection. It fails if no bootstrap server answers.
func Connect(ctx context.Context, cfg Config, log logr.Logger) (*Client, error) {
	cfg.Default()
	config, err := cfg.Sarama()
	if err != nil {
		return nil, err
	}
	type outcome struct {
		client sarama.Client
		err    error
	}
	done := make(chan outcome, 1)
	go func() {
		client, err := sarama.NewClient(cfg.BootstrapServers, config)
		done <- outcome{client, err}
	}()
	select {
	case <-ctx.Done():
		go func() { // sarama takes no context: its time-outs end the attempt
			if o := <-done; o.err == nil {
				_ = o.client.Close()
			}
		}()
		return nil, ctx.Err()
	case o := <-done:
		if o.err != nil {
			return nil, fmt.Errorf("connect to Kafka at bootstrapServers %s (check the addresses, TLS and SASL settings): %w",
				strings.Join(cfg.BootstrapServers, ","), o.err)
		}
		return &Client{cfg: cfg, sarama: o.client, log: log}, nil
	}
}

// Close closes the connections.
func (c *Client) Close() error { return c.sarama.Close() }

// Sarama returns the connection for what this package does not wrap: the consumer group.
func (c *Client) Sarama() sarama.Client { return c.sarama }

// Topic describes a topic; ErrTopicNotFound if there is none.
func (c *Client) Topic(ctx context.Context, name string) (Topic, error) {
	if err := ctx.Err(); err != nil {
		return Topic{}, err
	}
	metadata, err := c.metadata(name)
	if err != nil {
		return Topic{}, fmt.Errorf("describe topic %s: %w", name, err)
	}
	found := metadata.Topics[0]
	switch {
	case found.Err == sarama.ErrUnknownTopicOrPartition:
		return Topic{}, fmt.Errorf("topic %s: %w: create it first, or apply a Topic resource", name, ErrTopicNotFound)
	case found.Err == sarama.ErrTopicAuthorizationFailed:
		return Topic{}, fmt.Errorf("topic %s: %w: grant DESCRIBE on it", name, ErrNotAuthorized)
	case found.Err != sarama.ErrNoError:
		return Topic{}, fmt.Errorf("describe topic %s: %w", name, found.Err)
	}
	topic := Topic{Name: name, ID: found.Uuid.String(), Partitions: int32(len(found.Partitions))}
	if metadata.ClusterID != nil {
		topic.ClusterID = *metadata.ClusterID
	}
	topic.MaxMessageBytes = c.maxMessageBytes(name)
	return topic, nil
}

// metadata asks any broker for one topic.
func (c *Client) metadata(topic string) (*sarama.MetadataResponse, error) {
	err := sarama.ErrOutOfBrokers
	for range len(c.sarama.Brokers()) + 1 {
		broker := c.sarama.LeastLoadedBroker()
		if broker == nil {
			return nil, errors.Join(err, c.sarama.RefreshMetadata())
		}
		var response *sarama.MetadataResponse
		request := sarama.NewMetadataRequest(c.sarama.Config().Version, []string{topic})
		if response, err = broker.GetMetadata(request); err == nil && len(response.Topics) == 1 {
			return response, nil
		}
		_ = broker.Close()
	}
	return nil, err
}

func (c *Client) maxMessageBytes(topic string) int {
	admin, err := sarama.NewClusterAdminFromClient(c.sarama)
	if err != nil {
		return 0
	}
	entries, err := admin.DescribeConfig(sarama.ConfigResource{
		Type: sarama.TopicResource, Name: topic, ConfigNames: []string{"max.message.bytes"},
	})
	if err != nil {
		c.log.V(1).Info("Topic configuration not readable", "topic", topic, "reason", err.Error())
		return 0
	}
	i := slices.IndexFunc(entries, func(e sarama.ConfigEntry) bool { return e.Name == "max.message.bytes" })
	if i < 0 {
		return 0
	}
	n, _ := strconv.Atoi(entries[i].Value)
	return n
}

// InitProducerID asks for a producer id that was never used (KIP-98); its epoch is 0.
func (c *Client) InitProducerID(ctx context.Context) (id int64, epoch int16, err error) {
	if err := ctx.Err(); err != nil {
		return 0, 0, err
	}
	response, err := c.sarama.InitProducerID()
	if err == nil && response.Err != sarama.ErrNoError {
		err = response.Err
	}
	if err != nil {
		return 0, 0, fmt.Errorf("get a producer id: %w", err)
	}
	return response.ProducerID, response.ProducerEpoch, nil
}

// LastSequence returns the last sequence number that the partition's leader has of a producer. found is false if it has
// none: the producer never wrote there, or was idle for longer than producer.id.expiration.ms. It needs READ on the
// topic (ErrNotAuthorized).
func (c *Client) LastSequence(ctx context.Context, topic string, partition int32, producerID int64) (
	sequence int32, found bool, err error,
) {
	if err := ctx.Err(); err != nil {
		return 0, false, err
	}
	leader, err := c.sarama.Leader(topic, partition)
	if err != nil {
		return 0, false, fmt.Errorf("find leader of %s/%d: %w", topic, partition, err)
	}
	response, err := leader.DescribeProducers(&sarama.DescribeProducersRequest{
		Topics: []sarama.DescribeProducersRequestTopic{{Name: topic, PartitionIndexes: []int32{partition}}},
	})
	if err != nil {
		_ = leader.Close()
		return 0, false, fmt.Errorf("describe producers of %s/%d: %w", topic, partition, err)
	}
	for _, t := range response.Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode == sarama.ErrTopicAuthorizationFailed {
				return 0, false, fmt.Errorf("describe producers of %s: %w: grant READ on the topic", topic, ErrNotAuthorized)
			}
			if p.ErrorCode != sarama.ErrNoError {
				_ = c.sarama.RefreshMetadata(topic)
				return 0, false, fmt.Errorf("describe producers of %s/%d: %w", topic, partition, p.ErrorCode)
			}
			for _, producer := range p.ActiveProducers {
				if producer.ProducerID == producerID && producer.LastSequence >= 0 {
					return producer.LastSequence, true, nil
				}
			}
		}
	}
	return 0, false, nil
}
