package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// brokerFaults leaves at most one broker away at a time, and none in the end.
func (c *chaos) brokerFaults(ctx context.Context, random *rand.Rand) {
	c.Helper()
	for sleep(ctx, random, 3*time.Second) {
		c.brokerKills.Add(1)
		broker := 1 + random.IntN(3)
		c.brokers.Kill(broker)
		sleep(ctx, random, 3*time.Second)
		c.brokers.Start(broker)
		c.awaitInSync()
	}
}

// hdfsFaults leaves at most one of HDFS's servers away at a time, and none in the end.
func (c *chaos) hdfsFaults(ctx context.Context, random *rand.Rand) {
	c.Helper()
	for sleep(ctx, random, 15*time.Second) {
		switch random.IntN(4) {
		case 0:
			c.nameNodeKills.Add(1)
			c.hdfs.Kill("nn")
			sleep(ctx, random, 2*time.Second)
			c.hdfs.Start("nn")
		case 1:
			c.safeModes.Add(1)
			c.hdfs.Admin("-safemode", "enter")
			sleep(ctx, random, 5*time.Second)
			c.hdfs.Admin("-safemode", "leave")
		default:
			c.dataNodeKills.Add(1)
			name := fmt.Sprintf("dn%d", 1+random.IntN(3))
			c.hdfs.Kill(name)
			sleep(ctx, random, 3*time.Second)
			c.hdfs.Start(name)
		}
	}
}

// awaitInSync waits until every broker has all that the others have: while one is behind, the loss of another may take
// what no third has, and that is more than Kafka promises to survive.
func (c *chaos) awaitInSync() {
	c.Helper()
	client := c.client.Sarama()
	for deadline := time.Now().Add(2 * patience); ; {
		behind := 0
		if err := client.RefreshMetadata(c.topic); err != nil {
			behind++
		}
		for partition := range chaosWriters {
			if replicas, err := client.InSyncReplicas(c.topic, int32(partition)); err != nil || len(replicas) < 3 {
				behind++
			}
		}
		if behind == 0 {
			return
		}
		if time.Now().After(deadline) {
			c.Fatalf("%d partitions are not in sync", behind)
		}
	}
}
