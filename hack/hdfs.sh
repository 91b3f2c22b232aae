#!/usr/bin/env bash
# Hadoop HDFS on loopback, for tests and demos: one NameNode, one or three DataNodes, from Maven Central.
#
#   hdfs.sh up [1|3]          start the processes that are not running; prints namenode=hdfs://HOST:PORT and conf=DIRECTORY
#   hdfs.sh down [wipe]       stop them; wipe also deletes the directory
#   hdfs.sh status            one line per process
#   hdfs.sh start|stop|kill NAME     one process: nn, dn1 to dn3; kill is SIGKILL
#   hdfs.sh dfs ARG...        Hadoop's FsShell, such as: dfs -ls /
#   hdfs.sh admin ARG...      Hadoop's DFSAdmin, such as: admin -report
#   hdfs.sh guard             wait for the end of standard input, then down wipe
#
# LOGPIPE_HDFS_DIR       data, configuration, logs and process ids; default .run/hdfs in the repository
# LOGPIPE_HDFS_PORT      the NameNode's RPC port, default 19800, and 35 more after it; 0 picks free ones. Kept in the directory
# LOGPIPE_HDFS_HOST      address that clients use, default 127.0.0.1; pods need another one
# LOGPIPE_HDFS_HEAP      MiB per process, default 192
# LOGPIPE_SERVERS_CACHE  downloaded jars; default ~/.cache/logpipe/servers
set -euo pipefail

HERE=$(cd "$(dirname "$0")" && pwd)
HOST=${LOGPIPE_HDFS_HOST:-127.0.0.1}
DIR=$(realpath -m "${LOGPIPE_HDFS_DIR:-$HERE/../.run/hdfs}")
CONF=$DIR/conf
# shellcheck source-path=SCRIPTDIR source=servers/daemon.sh
source "$HERE/servers/daemon.sh"

rpc_address() { echo "$HOST:$BASE"; }
http_port() { echo $((BASE + 1)); }
datanode_address() { echo "$HOST:$((BASE + 10 * $2 + $1))"; } # ID PORT-KIND: 1 data, 2 IPC, 3 HTTP

# xml writes a Hadoop configuration file from lines of "name value"; # starts a comment.
xml() { # FILE
  local name value
  {
    echo '<configuration>'
    while read -r name value; do
      [[ -z $name || $name == '#' ]] || echo "<property><name>$name</name><value>$value</value></property>"
    done
    echo '</configuration>'
  } >"$CONF/$1"
}

write_config() {
  # Every daemon insists on these directories; the pages in them are not needed.
  mkdir -p "$CONF"/webapps/{hdfs,datanode,static} "$DIR/tmp"
  xml core-site.xml <<END
fs.defaultFS hdfs://$(rpc_address)
hadoop.tmp.dir $DIR/tmp
ipc.client.connect.max.retries 3
ipc.client.connect.retry.interval 300
END
  xml hdfs-site.xml <<END
dfs.namenode.rpc-address $(rpc_address)
dfs.namenode.http-address 127.0.0.1:$(http_port)
dfs.namenode.name.dir $DIR/data/nn
dfs.replication $SIZE
dfs.namenode.fs-limits.min-block-size 4096

# Out of safe mode as soon as the blocks are there; a DataNode counts as dead after 2 x 2 s + 10 x 1 s.
dfs.namenode.safemode.extension 0
dfs.namenode.safemode.min.datanodes 1
dfs.heartbeat.interval 1
dfs.namenode.heartbeat.recheck-interval 2000
dfs.namenode.avoid.write.stale.datanode true
dfs.namenode.stale.datanode.interval 3000

# DataNodes that share one address, and start at once.
dfs.datanode.hostname localhost
dfs.namenode.datanode.registration.ip-hostname-check false
dfs.blockreport.initialDelay 0

# Small: several clusters share one machine.
dfs.namenode.handler.count 4
dfs.datanode.handler.count 4
dfs.datanode.scan.period.hours -1
dfs.namenode.resource.du.reserved 1048576
dfs.datanode.du.reserved 0
END
  cat >"$CONF/log4j.properties" <<'END'
log4j.rootLogger=${hadoop.root.logger},console
hadoop.root.logger=INFO
log4j.logger.org.apache.hadoop.util.NativeCodeLoader=ERROR
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.target=System.err
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d{ISO8601} %p %c{1}: %m%n
END
}

# hadoop_command sets JAVA, the command line up to the main class.
hadoop_command() { # JVM-FLAG...
  local lib path
  lib=$(jars hdfs)
  path=$(class_path "$lib")
  JAVA=(java -Xms64m "-Xmx${LOGPIPE_HDFS_HEAP:-192}m" -XX:+UseSerialGC -XX:+ExitOnOutOfMemoryError
    -Djava.net.preferIPv4Stack=true -Djava.awt.headless=true "-Dhadoop.log.dir=$DIR/log" "-Dhadoop.home.dir=$CONF"
    "-Djava.io.tmpdir=$DIR/tmp"
    "$@" -cp "$CONF:$path")
}

NAMENODE=org.apache.hadoop.hdfs.server.namenode.NameNode
DATANODE=org.apache.hadoop.hdfs.server.datanode.DataNode

format() {
  [[ ! -d $DIR/data/nn/current ]] || return 0
  hadoop_command -XX:TieredStopAtLevel=1
  "${JAVA[@]}" "$NAMENODE" -format -nonInteractive >"$DIR/log/format.log" 2>&1 ||
    die "cannot format the NameNode:"$'\n'"$(tail -n 15 "$DIR/log/format.log")"
}

launch() { # NAME
  ! alive "$1" || return 0
  local id=${1#dn}
  if [[ $1 == nn ]]; then
    ! port_in_use "$BASE" || die "port $BASE is in use; set LOGPIPE_HDFS_PORT"
    hadoop_command "$(mark nn)"
    spawn nn "${JAVA[@]}" "$NAMENODE"
    return
  fi
  hadoop_command "$(mark "$1")" -XX:MaxDirectMemorySize=64m
  # The retries let it wait for the NameNode; without them it would sleep 5 s after the first refusal.
  spawn "$1" "${JAVA[@]}" "$DATANODE" \
    -D "dfs.datanode.data.dir=$DIR/data/$1" \
    -D "dfs.datanode.address=$(datanode_address "$id" 1)" \
    -D "dfs.datanode.ipc.address=$(datanode_address "$id" 2)" \
    -D "dfs.datanode.http.address=$(datanode_address "$id" 3)" \
    -D ipc.client.connect.max.retries=100 -D ipc.client.connect.retry.interval=100
}

await() { # NAME
  case $1 in
    nn) await_log nn 'NameNode RPC up at' ;;
    *) await_log "$1" 'Successfully sent block report' ;;
  esac
}

# operational asks the NameNode itself whether it has left safe mode and sees N DataNodes.
operational() { # N
  local reply
  reply=$(
    exec 3<>"/dev/tcp/127.0.0.1/$(http_port)" 2>/dev/null || exit 0
    printf 'GET /jmx?qry=Hadoop:service=NameNode,name=FSNamesystemState HTTP/1.0\r\n\r\n' >&3
    cat <&3
  )
  [[ $reply == *'"FSState" : "Operational"'* ]] && grep -qE "\"NumLiveDataNodes\" : [$1-9]," <<<"$reply"
}

await_operational() { # N
  local end=$((SECONDS + DEADLINE))
  until operational "$1"; do
    ((SECONDS < end)) || die "the NameNode is not operational after $DEADLINE s; see $DIR/log/nn.log"
    sleep 0.1
  done
}

up() {
  local i
  open_cluster "${1:-1}" "${LOGPIPE_HDFS_PORT:-19800}" 36
  write_config
  format
  launch nn
  for ((i = 1; i <= SIZE; i++)); do launch "dn$i"; done
  await nn
  for ((i = 1; i <= SIZE; i++)); do await "dn$i"; done
  await_operational "$SIZE"
  echo "namenode=hdfs://$(rpc_address)"
  echo "conf=$CONF"
}

check_name() { [[ ${1:-} =~ ^(nn|dn[1-3])$ ]] || die "processes are named nn, dn1, dn2, dn3, not '${1:-}'"; }

start() { # NAME
  check_name "$1"
  load_cluster
  launch "$1"
  await "$1"
  if [[ $1 == nn && $(processes) == *dn* ]]; then await_operational 1; fi
}

client() { # CLASS ARG...
  require_java
  load_cluster
  hadoop_command -XX:TieredStopAtLevel=1 -Dhadoop.root.logger=WARN
  exec "${JAVA[@]}" "$@"
}

case ${1:-} in
  up) up "${2:-1}" ;;
  down) down "${2:-}" ;;
  status) status ;;
  start) start "${2:-}" ;;
  stop) check_name "${2:-}" && end TERM "$2" ;;
  kill) check_name "${2:-}" && end KILL "$2" ;;
  dfs) client org.apache.hadoop.fs.FsShell "${@:2}" ;;
  admin) client org.apache.hadoop.hdfs.tools.DFSAdmin "${@:2}" ;;
  guard) guard ;;
  *)
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
