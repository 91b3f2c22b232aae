#!/usr/bin/env bash
# with-servers.sh COMMAND ARG...: run a command while one Kafka broker and an HDFS with one DataNode are up on free ports.
#
# The command finds them in the environment described in test/servers. They are stopped and deleted when it ends, and also
# when this script is killed.
set -euo pipefail

HERE=$(cd "$(dirname "$0")" && pwd)
WORK=$(mktemp -d)

kafka() { LOGPIPE_KAFKA_DIR=$WORK/kafka LOGPIPE_KAFKA_PORT=0 exec "$@"; }
hdfs() { LOGPIPE_HDFS_DIR=$WORK/hdfs LOGPIPE_HDFS_PORT=0 exec "$@"; }

# The guards wait for the end of these pipes; in sessions of their own, they outlive an interrupt from the keyboard.
exec {kafka_pipe}> >(kafka setsid "$HERE/kafka.sh" guard)
kafka_guard=$!
exec {hdfs_pipe}> >(hdfs setsid "$HERE/hdfs.sh" guard)
hdfs_guard=$!

cleanup() {
  exec {kafka_pipe}>&- {hdfs_pipe}>&-
  wait "$kafka_guard" "$hdfs_guard" || true
  rm -rf "$WORK"
}
trap cleanup EXIT

(kafka "$HERE/kafka.sh" up 1) {kafka_pipe}>&- {hdfs_pipe}>&- >"$WORK/kafka.out" &
starting=$!
(hdfs "$HERE/hdfs.sh" up 1) {kafka_pipe}>&- {hdfs_pipe}>&- >"$WORK/hdfs.out"
wait "$starting"

LOGPIPE_TEST_KAFKA=$(sed -n 's/^bootstrap=//p' "$WORK/kafka.out")
LOGPIPE_TEST_HDFS=$(sed -n 's/^namenode=//p' "$WORK/hdfs.out")
export LOGPIPE_TEST_KAFKA LOGPIPE_TEST_KAFKA_DIR=$WORK/kafka
export LOGPIPE_TEST_HDFS LOGPIPE_TEST_HDFS_DIR=$WORK/hdfs
"$@" {kafka_pipe}>&- {hdfs_pipe}>&-
