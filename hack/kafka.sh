#!/usr/bin/env bash
# Apache Kafka on loopback, for tests and demos: one or three brokers, KRaft, from Maven Central.
#
#   kafka.sh up [1|3]         start the brokers that are not running; prints bootstrap=HOST:PORT,...
#   kafka.sh down [wipe]      stop them; wipe also deletes the directory
#   kafka.sh status           one line per broker
#   kafka.sh start|stop|kill NAME     one broker, b1 to b3; kill is SIGKILL
#   kafka.sh cli CLASS ARG... a tool of org.apache.kafka.tools, such as: cli TopicCommand --bootstrap-server ... --list
#   kafka.sh guard            wait for the end of standard input, then down wipe
#
# LOGPIPE_KAFKA_DIR      data, logs and process ids; default .run/kafka in the repository
# LOGPIPE_KAFKA_PORT     brokers listen on the ports after it, default 19090; 0 picks free ones. Kept in the directory
# LOGPIPE_KAFKA_HEAP     MiB per broker, default 256
# LOGPIPE_SERVERS_CACHE  downloaded jars; default ~/.cache/logpipe/servers
set -euo pipefail

HERE=$(cd "$(dirname "$0")" && pwd)
DIR=$(realpath -m "${LOGPIPE_KAFKA_DIR:-$HERE/../.run/kafka}")
# shellcheck source-path=SCRIPTDIR source=servers/daemon.sh
source "$HERE/servers/daemon.sh"

client_port() { echo $((BASE + $1)); }
controller_port() { echo $((BASE + 10 + $1)); }

# join FUNCTION prints FUNCTION 1, FUNCTION 2, ... up to SIZE, separated by commas.
join() {
  local i all=()
  for ((i = 1; i <= SIZE; i++)); do all+=("$("$1" "$i")"); done
  local IFS=,
  printf '%s\n' "${all[*]}"
}
client_address() { echo "127.0.0.1:$(client_port "$1")"; }
voter() { echo "$1@127.0.0.1:$(controller_port "$1")"; }

write_config() { # ID
  local home=$DIR/b$1 replicas=$SIZE min_isr=$((SIZE / 2 + 1))
  mkdir -p "$home"
  cat >"$home/server.properties" <<END
process.roles=broker,controller
node.id=$1
controller.quorum.voters=$(join voter)
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://$(client_address "$1"),CONTROLLER://127.0.0.1:$(controller_port "$1")
advertised.listeners=PLAINTEXT://$(client_address "$1")
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs=$home/data

# As safe as the cluster is large.
default.replication.factor=$replicas
min.insync.replicas=$min_isr
offsets.topic.replication.factor=$replicas
transaction.state.log.replication.factor=$replicas
transaction.state.log.min.isr=$min_isr
share.coordinator.state.topic.replication.factor=$replicas
share.coordinator.state.topic.min.isr=$min_isr

# Strict, and quick to start, to join a group and to fail over.
auto.create.topics.enable=false
delete.topic.enable=true
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
controller.quorum.election.timeout.ms=1000
controller.quorum.fetch.timeout.ms=2000
controlled.shutdown.max.retries=1

# Small: several clusters share one machine.
num.network.threads=2
num.io.threads=4
background.threads=2
num.recovery.threads.per.data.dir=1
log.cleaner.dedupe.buffer.size=8388608
message.max.bytes=8388608
replica.fetch.max.bytes=8388608
END
  cat >"$home/log4j2.properties" <<'END'
rootLogger.level=warn
rootLogger.appenderRef.out.ref=out
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d %p %c{1} %m%n
logger.started.name=kafka.server.KafkaRaftServer
logger.started.level=info
END
}

java_broker() { # ID CLASS ARG...
  local home=$DIR/b$1
  shift
  exec java -Xms64m "-Xmx${LOGPIPE_KAFKA_HEAP:-256}m" -XX:+UseSerialGC -XX:+ExitOnOutOfMemoryError \
    -Djava.awt.headless=true "-Dlog4j2.configurationFile=$home/log4j2.properties" "${JVM[@]}" \
    -cp "$(class_path "$(jars kafka)")" "$@"
}

format() { # ID
  local home=$DIR/b$1
  [[ ! -f $home/data/meta.properties ]] || return 0
  JVM=(-XX:TieredStopAtLevel=1)
  (java_broker "$1" kafka.tools.StorageTool format --cluster-id "$(<"$DIR/cluster.id")" \
    --config "$home/server.properties") >"$DIR/log/format$1.log" 2>&1 ||
    die "cannot format broker $1:"$'\n'"$(tail -n 15 "$DIR/log/format$1.log")"
}

launch() { # ID
  alive "b$1" && return
  ! port_in_use "$(client_port "$1")" || die "port $(client_port "$1") is in use; set LOGPIPE_KAFKA_PORT"
  JVM=("$(mark "b$1")")
  spawn "b$1" java_broker "$1" kafka.Kafka "$DIR/b$1/server.properties"
}
