#!/usr/bin/env bash
# The demo on real servers: three Apache Kafka brokers and an HDFS with three DataNodes, started on loopback and stopped
# at the end. One broker is stopped and started in the middle. At last the files are read back a second time, with
# Hadoop's own shell. Arguments go to `logpipe demo`.
set -euo pipefail

HERE=$(cd "$(dirname "$0")" && pwd)
WORK=$(mktemp -d)
export LOGPIPE_KAFKA_DIR=$WORK/kafka LOGPIPE_KAFKA_PORT=0 LOGPIPE_HDFS_DIR=$WORK/hdfs LOGPIPE_HDFS_PORT=0

cleanup() {
  "$HERE/kafka.sh" down wipe || true
  "$HERE/hdfs.sh" down wipe || true
  rm -rf "$WORK"
}
trap cleanup EXIT

# setting KEY prints what follows KEY= in the output of the scripts.
setting() { sed -n "s/^$1=//p"; }

go build -o "$WORK/logpipe" "$HERE/../cmd/logpipe"
echo "Starting Kafka (3 brokers) and HDFS (3 DataNodes)"
brokers=$("$HERE/kafka.sh" up 3 | setting bootstrap)
namenode=$("$HERE/hdfs.sh" up 3 | setting namenode)

"$WORK/logpipe" demo --kafka "$brokers" --hdfs "$namenode/demo" --dir "$WORK/demo" --lines 400000 "$@" &
demo=$!
sleep 8
echo "Stopping broker b2"
"$HERE/kafka.sh" stop b2
sleep 4
echo "Starting broker b2"
"$HERE/kafka.sh" start b2
wait "$demo"

echo "Reading the files back with Hadoop's FsShell"
"$HERE/hdfs.sh" dfs -cat '/demo/logpipe-demo-*/*/*/*' | "$WORK/logpipe" demo check --truth "$WORK/demo/written.json"
