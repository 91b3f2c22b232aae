#!/usr/bin/env bash
# Other programs that move log files into Kafka, or from Kafka to HDFS, from package registries, to be measured in the
# cases of test/peers.
#
#   peers.sh list                                         the names of the peers; logpipe is this repository's agent,
#                                                         logpipe-hdfs its sink
#   peers.sh install PEER                                 fetch or build it, unless it is there; prints its version
#   peers.sh run PEER DIR LOGS GLOB BOOTSTRAP TOPIC       run it in the foreground, in place of this script
#   peers.sh run PEER DIR URL CONF BOOTSTRAP TOPIC        the same for one with hdfs in its name: from the topic into URL
#
# run reads the files GLOB, app.log or app.log*, of the directory LOGS, and keeps all its state in DIR. CONF is a
# directory with Hadoop's configuration. A peer is configured by the file in hack/peers, which says why it is as it is.
# rsyslog and syslog-ng are Debian's packages, unpacked into the cache; see servers/debian.sh.
#
# LOGPIPE_SERVERS_CACHE  what was fetched; default ~/.cache/logpipe/servers
set -euo pipefail

HERE=$(cd "$(dirname "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=servers/daemon.sh
source "$HERE/servers/daemon.sh"
# shellcheck source-path=SCRIPTDIR source=servers/debian.sh
source "$HERE/servers/debian.sh"
# shellcheck disable=SC2034 # jars looks there
SERVERS=$HERE/peers
PEERS=(logpipe rsyslog rsyslog-memory syslog-ng syslog-ng-async flume-memory flume-file otelcol
  logpipe-hdfs flume-hdfs-memory flume-hdfs-kafka)

# library_path prints the directories of shared libraries below an unpacked one.
library_path() {
  local all=("$1"/usr/lib/{syslog-ng,*-linux-gnu} "$1"/lib/*-linux-gnu) IFS=:
  printf '%s\n' "${all[*]}"
}

unpacked_rsyslog() { unpacked rsyslog rsyslog-kafka; }
unpacked_syslog_ng() { unpacked syslog-ng-core syslog-ng-mod-rdkafka; }

# collector prints the path of the OpenTelemetry Collector that is built of peers/otelcol.
collector() {
  local hash target
  hash=$(cat "$SERVERS"/otelcol/* | sha256sum)
  target=$CACHE/otelcol-${hash:0:16}
  [[ -f $target ]] || build_collector "$target" || exit 1
  printf '%s\n' "$target"
}

build_collector() ( # TARGET
  require go golang
  mkdir -p "$CACHE"
  exec 9>"$CACHE/lock"
  flock 9
  [[ ! -f $1 ]] || return 0
  note "building the OpenTelemetry Collector (once; takes minutes) ..."
  CGO_ENABLED=0 go -C "$SERVERS/otelcol" build -trimpath -o "$1.partial" . >&2 && mv "$1.partial" "$1"
)

# required MODULE prints the version of a module of the Collector's, by the end of its path.
required() { awk -v "m=/$1" '$1 ~ m "$" { print $2 }' "$SERVERS/otelcol/go.mod"; }

# flume_module PEER prints the directory of peers with its class path.
flume_module() { if [[ $1 == flume-hdfs-* ]]; then echo flume-hdfs; else echo flume; fi; }

install_peer() { # PEER
  case $1 in
    logpipe*)
      go -C "$HERE/.." build -trimpath -o bin/ ./cmd/agent ./cmd/sink
      echo "logpipe, $(git -C "$HERE" describe --always --dirty --exclude='*' 2>/dev/null || echo 'this source')"
      ;;
    rsyslog*) unpacked_rsyslog >/dev/null && echo "rsyslog $(candidate rsyslog)" ;;
    syslog-ng*) unpacked_syslog_ng >/dev/null && echo "syslog-ng $(candidate syslog-ng-core)" ;;
    flume-*)
      require_java
      jars "$(flume_module "$1")" >/dev/null
      echo "Apache Flume $(sed -n '/flume-ng-node/{n;s/[^>]*>\([^<]*\).*/\1/p}' "$HERE/peers/flume/pom.xml")"
      ;;
    otelcol)
      collector >/dev/null
      echo "OpenTelemetry Collector, filelogreceiver $(required filelogreceiver)," \
        "kafkaexporter $(required kafkaexporter)"
      ;;
    *) die "no such peer: $1 (${PEERS[*]})" ;;
  esac
}

# configure PEER writes its configuration and sets CONF. The text of the arguments must not hold '|' or '&'.
configure() {
  local template source=live regex
  template=$(ls "$HERE/peers/$1".*)
  CONF=$DIR/${template##*/}
  [[ $GLOB == app.log ]] || source=rotated
  regex=${GLOB//./[.]} regex=${regex//\*/.*}
  mkdir -p "$DIR/work"
  sed -e "s|@DIR@|$DIR|g; s|@LOGS@|$LOGS|g; s|@GLOB@|$GLOB|g; s|@BOOTSTRAP@|$BOOTSTRAP|g; s|@TOPIC@|$TOPIC|g" \
    -e "s|@SOURCE@|$source|g; s|@REGEX@|$regex|g; s|@HDFS@|$LOGS|g; s|@USER@|$(id -un)|g" "$template" >"$CONF"
}

run() { # PEER DIR LOGS|URL GLOB|CONF BOOTSTRAP TOPIC
  local peer=$1 root lib path
  DIR=$2 LOGS=$3 GLOB=$4 BOOTSTRAP=$5 TOPIC=$6
  configure "$peer"
  case $peer in
    logpipe) exec "$HERE/../bin/agent" --config "$CONF" ;;
    logpipe-hdfs) exec "$HERE/../bin/sink" --config "$CONF" ;;
    rsyslog*)
      root=$(unpacked_rsyslog)
      lib=$(library_path "$root")
      path=$(echo "$root"/usr/lib/*/rsyslog)
      LD_LIBRARY_PATH=$lib exec "$root/usr/sbin/rsyslogd" -n -i NONE -M "$path" -f "$CONF"
      ;;
    syslog-ng*)
      root=$(unpacked_syslog_ng)
      lib=$(library_path "$root")
      path=$(echo "$root"/usr/lib/syslog-ng/*/)
      LD_LIBRARY_PATH=$lib exec "$root/usr/sbin/syslog-ng" -F --stderr --no-caps --module-path "$path" -f "$CONF" \
        -R "$DIR/work/persist" -c "$DIR/work/control" -p "$DIR/work/pid"
      ;;
    flume-*)
      lib=$(jars "$(flume_module "$peer")")
      path=$(class_path "$lib")
      [[ $peer != *-hdfs-* ]] || path+=:$GLOB # Hadoop's configuration
      exec java -Xms512m -Xmx1g -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp "$path" \
        org.apache.flume.node.Application -n a -f "$CONF" --no-reload-conf
      ;;
    otelcol)
      path=$(collector)
      exec "$path" --config "$CONF"
      ;;
    *) die "no such peer: $peer (${PEERS[*]})" ;;
  esac
}

case ${1:-} in
  list) printf '%s\n' "${PEERS[@]}" ;;
  install) install_peer "${2:-}" ;;
  run) (($# == 7)) && run "${@:2}" ;;
  *)
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
