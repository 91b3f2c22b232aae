#!/usr/bin/env bash
# e2e.sh: bring up a cluster with the operator, real Kafka and HDFS beside it, and run test/e2e. KEEP=1 leaves the cluster.
set -euo pipefail
cd "$(dirname "$0")/.."
WORK=$(mktemp -d)

environment=$(hack/cluster.sh up)
eval "$environment"
HOST=$(hack/kube.sh host-address)
export LOGPIPE_KAFKA_DIR=$WORK/kafka LOGPIPE_KAFKA_PORT=0 LOGPIPE_KAFKA_HOST=$HOST
export LOGPIPE_HDFS_DIR=$WORK/hdfs LOGPIPE_HDFS_PORT=0 LOGPIPE_HDFS_HOST=$HOST

cleanup() {
  hack/kafka.sh down wipe || true
  hack/hdfs.sh down wipe || true
  rm -rf "$WORK"
  [[ -n ${KEEP:-} ]] || hack/cluster.sh down
}
trap cleanup EXIT

hack/kafka.sh up 3 | tee "$WORK/kafka.out"
hack/hdfs.sh up 1 | tee "$WORK/hdfs.out"

# The pod that writes numbered lines.
mkdir "$WORK/writer"
CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o "$WORK/writer/writer" ./test/e2e/writer
printf 'FROM scratch\nCOPY writer /writer\nUSER 65532:65532\nENTRYPOINT ["/writer"]\n' >"$WORK/writer/Dockerfile"
DOCKER_BUILDKIT=0 docker build -q -t localhost/logpipe-writer:e2e "$WORK/writer"
docker save -o "$WORK/writer.tar" localhost/logpipe-writer:e2e
hack/kube.sh load "$WORK/writer.tar"

LOGPIPE_TEST_KAFKA=$(sed -n 's/^bootstrap=//p' "$WORK/kafka.out") LOGPIPE_TEST_KAFKA_DIR=$WORK/kafka \
  LOGPIPE_TEST_HDFS=$(sed -n 's/^namenode=//p' "$WORK/hdfs.out") LOGPIPE_TEST_HDFS_DIR=$WORK/hdfs \
  HELM=$(hack/kube.sh tool helm) LOGPIPE_E2E=1 \
  go test -count=1 -timeout 25m -v ./test/e2e/...
