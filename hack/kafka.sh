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
# LOGPIPE_KAFKA_HOST     address that clients use, default 127.0.0.1; pods need another one
# LOGPIPE_KAFKA_HEAP     MiB per broker, default 256
# LOGPIPE_KAFKA_CONFIG   more lines for the brokers' server.properties
# LOGPIPE_SERVERS_CACHE  downloaded jars; default ~/.cache/logpipe/servers
set -euo pipefail

HERE=$(cd "$(dirname "$0")" && pwd)
HOST=${LOGPIPE_KAFKA_HOST:-127.0.0.1}
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
client_address() { echo "$HOST:$(client_port "$1")"; }
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
broker.heartbeat.interval.ms=1000
broker.session.timeout.ms=6000

# Small: several clusters share one machine.
num.network.threads=2
num.io.threads=4
background.threads=2
num.recovery.threads.per.data.dir=1
log.cleaner.dedupe.buffer.size=8388608
message.max.bytes=8388608
replica.fetch.max.bytes=8388608

${LOGPIPE_KAFKA_CONFIG:-}
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

# java_command sets JAVA, the command line up to the main class.
java_command() { # ID JVM-FLAG...
  local id=$1 lib path
  shift
  lib=$(jars kafka)
  path=$(class_path "$lib")
  JAVA=(java -Xms64m "-Xmx${LOGPIPE_KAFKA_HEAP:-256}m" -XX:+UseSerialGC -XX:+ExitOnOutOfMemoryError
    -Djava.awt.headless=true "-Dlog4j2.configurationFile=$DIR/b$id/log4j2.properties" "$@" -cp "$path")
}

format() { # ID
  [[ ! -f $DIR/b$1/data/meta.properties ]] || return 0
  java_command "$1" -XX:TieredStopAtLevel=1
  "${JAVA[@]}" kafka.tools.StorageTool format --cluster-id "$(<"$DIR/cluster.id")" \
    --config "$DIR/b$1/server.properties" >"$DIR/log/format$1.log" 2>&1 ||
    die "cannot format broker $1:"$'\n'"$(tail -n 15 "$DIR/log/format$1.log")"
}

launch() { # ID
  ! alive "b$1" || return 0
  ! port_in_use "$(client_port "$1")" || die "port $(client_port "$1") is in use; set LOGPIPE_KAFKA_PORT"
  java_command "$1" "$(mark "b$1")"
  spawn "b$1" "${JAVA[@]}" kafka.Kafka "$DIR/b$1/server.properties"
}

await() { await_log "b$1" 'Kafka Server started'; } # ID

# It begins with a letter: one that begins with '-' would be taken for an option.
new_cluster_id() { echo "L$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=' | cut -c 2-)"; }

up() {
  local i formatting=()
  open_cluster "${1:-1}" "${LOGPIPE_KAFKA_PORT:-19090}" 20
  [[ -f $DIR/cluster.id ]] || new_cluster_id >"$DIR/cluster.id"
  jars kafka >/dev/null
  for ((i = 1; i <= SIZE; i++)); do
    write_config "$i"
    format "$i" &
    formatting+=($!)
  done
  for i in "${formatting[@]}"; do wait "$i"; done
  for ((i = 1; i <= SIZE; i++)); do launch "$i"; done
  for ((i = 1; i <= SIZE; i++)); do await "$i"; done
  echo "bootstrap=$(join client_address)"
}

check_name() { [[ ${1:-} =~ ^b[1-3]$ ]] || die "brokers are named b1, b2, b3, not '${1:-}'"; }

start() { # NAME
  check_name "$1"
  load_cluster
  launch "${1#b}"
  await "${1#b}"
}

cli() { # CLASS ARG...
  local lib path class=${1:?cli needs a class}
  shift
  require_java
  [[ $class == *.* ]] || class=org.apache.kafka.tools.$class
  lib=$(jars kafka-tools)
  path=$(class_path "$lib")
  exec java -Xmx256m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -cp "$path" "$class" "$@"
}

case ${1:-} in
  up) up "${2:-1}" ;;
  down) down "${2:-}" ;;
  status) status ;;
  start) start "${2:-}" ;;
  stop) check_name "${2:-}" && end TERM "$2" ;;
  kill) check_name "${2:-}" && end KILL "$2" ;;
  cli) cli "${@:2}" ;;
  guard) guard ;;
  *)
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
