package kafka

import (
	"errors"
	"fmt"

	"github.com/IBM/sarama"
)

// Errors of a batch that is not worth sending again as it is. The partition takes no more batches after one: all that
// wait and all that are sent later get the same error. A new Producer starts afresh.
var (
	// ErrOutOfOrder means that the broker's last sequence number of the producer is not the one before the batch.
	ErrOutOfOrder = errors.New("sequence numbers do not continue those the broker has")
	// ErrTooLarge means that the batch is above the topic's max.message.bytes.
	ErrTooLarge = errors.New("batch is too large for the topic")
	// ErrFenced means that a newer epoch of the producer id has written to the partition.
	ErrFenced = errors.New("producer was fenced")
	// ErrRefused means that the broker will never take the records as they are.
	ErrRefused = errors.New("records are refused by the broker")
	// ErrTopicChanged means that the topic was deleted and made anew.
	ErrTopicChanged = errors.New("topic was made anew")
)

// fate is what a failed attempt means for its batch.
type fate int

const (
	stored   fate = iota // the broker had it already
	again                // worth sending again, soon
	later                // worth sending again when someone has mended something
	hopeless             // not worth sending again
)

// judge tells the fate of the oldest batch of a partition when its attempt failed with err.
func judge(err error) (fate, error) {
	var unsendable sarama.PacketEncodingError
	switch {
	case errors.Is(err, ErrTopicChanged):
		return hopeless, err
	case errors.Is(err, ErrNotAuthorized), errors.Is(err, sarama.ErrSASLAuthenticationFailed):
		return later, err
	case errors.As(err, &unsendable): // sarama's own limit on requests
		return hopeless, fmt.Errorf("%w: %w", ErrTooLarge, err)
	}
	var code sarama.KError
	if !errors.As(err, &code) {
		return again, err // the connection broke: whether the batch is stored, sending it again will tell
	}
	switch code {
	case sarama.ErrDuplicateSequenceNumber:
		return stored, nil
	case sarama.ErrOutOfOrderSequenceNumber, sarama.ErrUnknownProducerID:
		return hopeless, fmt.Errorf("%w: %w", ErrOutOfOrder, err)
	case sarama.ErrMessageSizeTooLarge, sarama.ErrMessageSetSizeTooLarge:
		return hopeless, fmt.Errorf("%w: %w", ErrTooLarge, err)
	case sarama.ErrInvalidProducerEpoch, sarama.ErrProducerFenced:
		return hopeless, fmt.Errorf("%w: %w", ErrFenced, err)
	case sarama.ErrInvalidTimestamp:
		return hopeless, fmt.Errorf("%w: %w: check this machine's clock, and message.timestamp.after.max.ms of the topic",
			ErrRefused, err)
	case sarama.ErrInvalidRecord, sarama.ErrUnsupportedForMessageFormat:
		return hopeless, fmt.Errorf("%w: %w", ErrRefused, err)
	case sarama.ErrTopicAuthorizationFailed, sarama.ErrClusterAuthorizationFailed, sarama.ErrPolicyViolation,
		sarama.ErrInvalidTopic:
		return later, err
	default:
		return again, err
	}
}
