package kafka

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/IBM/sarama"
)

func TestJudge(t *testing.T) {
	tests := map[string]struct {
		err  error
		want fate
		is   error
	}{
		"a broken connection is tried again": {err: io.EOF, want: again},
		"a refused connection is tried again": {
			err: fmt.Errorf("connect: %w", errors.New("refused")), want: again,
		},
		"too few replicas are waited for": {err: sarama.ErrNotEnoughReplicas, want: again},
		"a missing right is waited for":   {err: sarama.ErrTopicAuthorizationFailed, want: later},
		"a wrong password is waited for": {
			err: sarama.Wrap(sarama.ErrSASLAuthenticationFailed), want: later,
		},
		"a batch that is there already is stored": {err: sarama.ErrDuplicateSequenceNumber, want: stored},
		"a batch that can't be encoded is too large": {
			err: sarama.PacketEncodingError{}, want: hopeless, is: ErrTooLarge,
		},
		"a topic made anew is not written to":         {err: ErrTopicChanged, want: hopeless, is: ErrTopicChanged},
		"a topic that is missing may come or be seen": {err: ErrTopicNotFound, want: again},
		"a leader that moved is followed":             {err: sarama.ErrNotLeaderForPartition, want: again},
		"replicas lost after the append are awaited":  {err: sarama.ErrNotEnoughReplicasAfterAppend, want: again},
		"an error without a name is tried again":      {err: sarama.KError(4711), want: again},
		"a wrapped code counts": {
			err: fmt.Errorf("produce: %w", sarama.ErrNotEnoughReplicas), want: again,
		},
		"a right on the cluster is waited for":       {err: sarama.ErrClusterAuthorizationFailed, want: later},
		"a right that metadata misses is waited for": {err: fmt.Errorf("topic: %w", ErrNotAuthorized), want: later},
		"a policy may be changed":                    {err: sarama.ErrPolicyViolation, want: later},
		"a gap is hopeless": {
			err: sarama.ErrOutOfOrderSequenceNumber, want: hopeless, is: ErrOutOfOrder,
		},
		"a forgotten producer is hopeless": {
			err: sarama.ErrUnknownProducerID, want: hopeless, is: ErrOutOfOrder,
		},
		"a batch above the limit is hopeless": {
			err: sarama.ErrMessageSizeTooLarge, want: hopeless, is: ErrTooLarge,
		},
		"a batch above a segment is hopeless": {
			err: sarama.ErrMessageSetSizeTooLarge, want: hopeless, is: ErrTooLarge,
		},
		"an old epoch is hopeless": {
			err: sarama.ErrInvalidProducerEpoch, want: hopeless, is: ErrFenced,
		},
		"a fenced producer is hopeless": {err: sarama.ErrProducerFenced, want: hopeless, is: ErrFenced},
		"a time out of bounds is hopeless": {
			err: sarama.ErrInvalidTimestamp, want: hopeless, is: ErrRefused,
		},
		"an invalid record is hopeless": {err: sarama.ErrInvalidRecord, want: hopeless, is: ErrRefused},
		"an old format is hopeless": {
			err: sarama.ErrUnsupportedForMessageFormat, want: hopeless, is: ErrRefused,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := judge(test.err)
			if got != test.want || test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("verdict %d, error %v; want %d, %v", got, err, test.want, test.is)
			}
		})
	}
}
