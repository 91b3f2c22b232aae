package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/IBM/sarama"
)

const maxMessageBytes = "max.message.bytes"

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
	// Leaders has the broker id of each partition's leader, -1 where there is none.
	Leaders map[int32]int32
}

// Topic describes a topic. It returns ErrTopicNotFound if there is none, and ErrNotAuthorized without DESCRIBE on it.
func (c *Client) Topic(ctx context.Context, name string) (Topic, error) {
	metadata, err := c.metadata(ctx, name)
	if err != nil {
		return Topic{}, fmt.Errorf("describe topic %s: %w", name, err)
	}
	found := metadata.Topics[0]
	if err := topicError(found); err != nil {
		return Topic{}, err
	}
	topic := Topic{
		Name: name, ID: found.Uuid.String(), Partitions: int32(len(found.Partitions)), Leaders: map[int32]int32{},
	}
	if metadata.ClusterID != nil {
		topic.ClusterID = *metadata.ClusterID
	}
	for _, p := range found.Partitions {
		topic.Leaders[p.ID] = p.Leader
	}
	topic.MaxMessageBytes, err = c.maxMessageBytes(ctx, name)
	return topic, err
}

func (c *Client) maxMessageBytes(ctx context.Context, topic string) (int, error) {
	settings, err := c.settings(ctx, topic, []string{maxMessageBytes})
	if errors.Is(err, sarama.ErrTopicAuthorizationFailed) || errors.Is(err, sarama.ErrClusterAuthorizationFailed) {
		c.log.V(1).Info("Topic configuration not readable", "topic", topic, "reason", err.Error())
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	n, _ := strconv.Atoi(settings[maxMessageBytes]) // not there: not known
	return n, nil
}

// settings returns settings of a topic, defaults included.
func (c *Client) settings(ctx context.Context, topic string, names []string) (map[string]string, error) {
	var response *sarama.DescribeConfigsResponse
	err := c.askAny(ctx, func(broker *sarama.Broker) (err error) {
		response, err = broker.DescribeConfigs(&sarama.DescribeConfigsRequest{
			Version:   4,
			Resources: []*sarama.ConfigResource{{Type: sarama.TopicResource, Name: topic, ConfigNames: names}},
		})
		return err
	})
	if err == nil && len(response.Resources) != 1 {
		err = sarama.ErrIncompleteResponse
	}
	if err == nil && response.Resources[0].ErrorCode != 0 {
		err = sarama.KError(response.Resources[0].ErrorCode)
	}
	if err != nil {
		return nil, fmt.Errorf("read configuration of topic %s: %w", topic, err)
	}
	settings := map[string]string{}
	for _, entry := range response.Resources[0].Configs {
		if slices.Contains(names, entry.Name) {
			settings[entry.Name] = entry.Value
		}
	}
	return settings, nil
}
