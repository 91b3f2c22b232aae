#!/usr/bin/env bash
# Hadoop HDFS on loopback, for tests and demos, from Maven Central: one NameNode and one or three DataNodes, or, as "ha",
# two NameNodes that share their edits over three JournalNodes, and three DataNodes.
#
#   hdfs.sh up [1|3|ha]       start the processes that are not running; prints namenode=hdfs://HOST:PORT and conf=DIRECTORY;
#                             ha: namenode=hdfs://NAMESERVICE, which conf knows, and namenodes=HOST:PORT,HOST:PORT
#   hdfs.sh down [wipe]       stop them; wipe also deletes the directory
#   hdfs.sh status            one line per process
#   hdfs.sh start NAME...     start processes and wait until they serve: nn, or nn1, nn2, jn1 to jn3; dn1 to dn3
#   hdfs.sh stop|kill NAME    one process; kill is SIGKILL
#   hdfs.sh active            the NameNode that is active: nn1 or nn2, or nothing
#   hdfs.sh failover          make the other NameNode active, whether the active one lives or not
#   hdfs.sh dfs ARG...        Hadoop's FsShell, such as: dfs -ls /
#   hdfs.sh admin ARG...      Hadoop's DFSAdmin, such as: admin -report
#   hdfs.sh haadmin ARG...    Hadoop's DFSHAAdmin, such as: haadmin -getAllServiceState
#   hdfs.sh guard             wait for the end of standard input, then down wipe
#
# LOGPIPE_HDFS_DIR       data, configuration, logs and process ids; default .run/hdfs in the repository
# LOGPIPE_HDFS_PORT      the (first) NameNode's RPC port, default 19800, and 35 more after it; 0 picks free ones. Kept in
#                        the directory
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

SIZES='1 3 ha'
NAMESERVICE=logpipe

ha() { [[ $SIZE == ha ]]; }
namenodes() { if ha; then echo nn1 nn2; else echo nn; fi; }
datanodes() { if ha; then echo 3; else echo "$SIZE"; fi; }

namenode_port() { # NAMENODE OFFSET
  local id=${1#nn}
  echo $((BASE + 2 * (${id:-1} - 1) + $2))
}
rpc_address() { echo "$HOST:$(namenode_port "$1" 0)"; }
http_port() { namenode_port "$1" 1; }
journal_address() { echo "127.0.0.1:$((BASE + 3 * $2 + $1))"; } # ID PORT-KIND: 1 RPC, 2 HTTP
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
  mkdir -p "$CONF"/webapps/{hdfs,datanode,journal,static} "$DIR/tmp"
  xml core-site.xml <<END
fs.defaultFS $(uri)
hadoop.tmp.dir $DIR/tmp
ipc.client.connect.max.retries 3
ipc.client.connect.retry.interval 300
END
  { if ha; then ha_settings; else namenode_settings; fi && common_settings; } | xml hdfs-site.xml
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

uri() { if ha; then echo "hdfs://$NAMESERVICE"; else echo "hdfs://$(rpc_address nn)"; fi; }

namenode_settings() {
  cat <<END
dfs.namenode.rpc-address $(rpc_address nn)
dfs.namenode.http-address 127.0.0.1:$(http_port nn)
dfs.namenode.name.dir $DIR/data/nn
END
}

# ha_settings: nothing has to be fenced by force, because the JournalNodes let only one NameNode write.
ha_settings() {
  local name provider=org.apache.hadoop.hdfs.server.namenode.ha.ConfiguredFailoverProxyProvider
  for name in $(namenodes); do
    cat <<END
dfs.namenode.rpc-address.$NAMESERVICE.$name $(rpc_address "$name")
dfs.namenode.http-address.$NAMESERVICE.$name 127.0.0.1:$(http_port "$name")
dfs.namenode.name.dir.$NAMESERVICE.$name $DIR/data/$name
END
  done
  cat <<END
dfs.nameservices $NAMESERVICE
dfs.ha.namenodes.$NAMESERVICE nn1,nn2
dfs.namenode.shared.edits.dir qjournal://$(journal_address 1 1);$(journal_address 2 1);$(journal_address 3 1)/$NAMESERVICE
dfs.client.failover.proxy.provider.$NAMESERVICE $provider
dfs.ha.fencing.methods shell(/bin/true)
dfs.ha.tail-edits.period 1
dfs.ha.tail-edits.in-progress true

# With three DataNodes, one of two that live easily seems too busy, and then one that is dead is taken.
dfs.namenode.redundancy.considerLoad false
END
}

common_settings() {
  cat <<END
dfs.replication $(datanodes)
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
# A DataNode takes blocks down to the last of them; by default 1 GiB must be left.
dfs.datanode.round-robin-volume-choosing-policy.additional-available-space 0
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
    "$@")
  # Half the CPU of a start is the second compiler's, and there are eight to start.
  if ha; then JAVA+=(-XX:TieredStopAtLevel=1); fi
  JAVA+=(-cp "$CONF:$path")
}

NAMENODE=org.apache.hadoop.hdfs.server.namenode.NameNode
DATANODE=org.apache.hadoop.hdfs.server.datanode.DataNode
JOURNALNODE=org.apache.hadoop.hdfs.qjournal.server.JournalNode
HAADMIN=org.apache.hadoop.hdfs.tools.DFSHAAdmin

# namenode sets JAVA to the command line of a NameNode, to which arguments may be added.
namenode() { # NAME JVM-FLAG...
  hadoop_command "${@:2}"
  JAVA+=("$NAMENODE")
  if ha; then JAVA+=(-D "dfs.ha.namenode.id=$1"); fi
}

# format makes the first NameNode's image, and the second's as a copy of it: nothing is in it yet.
format() {
  local names
  read -ra names <<<"$(namenodes)"
  if [[ ! -d $DIR/data/${names[0]}/current ]]; then
    namenode "${names[0]}" -XX:TieredStopAtLevel=1
    "${JAVA[@]}" -format -nonInteractive >"$DIR/log/format.log" 2>&1 ||
      die "cannot format the NameNode:"$'\n'"$(tail -n 15 "$DIR/log/format.log")"
  fi
  if ha && [[ ! -d $DIR/data/nn2/current ]]; then
    mkdir -p "$DIR/data/nn2"
    cp -r "$DIR/data/nn1/current" "$DIR/data/nn2/partial"
    mv "$DIR/data/nn2/partial" "$DIR/data/nn2/current"
  fi
}

launch() { # NAME
  ! alive "$1" || return 0
  case $1 in
    nn*) launch_namenode "$1" ;;
    jn*) launch_journalnode "$1" "${1#jn}" ;;
    dn*) launch_datanode "$1" "${1#dn}" ;;
  esac
}

launch_namenode() { # NAME
  local port
  port=$(namenode_port "$1" 0)
  ! port_in_use "$port" || die "port $port is in use; set LOGPIPE_HDFS_PORT"
  namenode "$1" "$(mark "$1")"
  spawn "$1" "${JAVA[@]}"
}

launch_journalnode() { # NAME ID
  hadoop_command "$(mark "$1")"
  spawn "$1" "${JAVA[@]}" "$JOURNALNODE" \
    -D "dfs.journalnode.edits.dir=$DIR/data/$1" \
    -D "dfs.journalnode.rpc-address=$(journal_address "$2" 1)" \
    -D "dfs.journalnode.http-address=$(journal_address "$2" 2)"
}

launch_datanode() { # NAME ID
  hadoop_command "$(mark "$1")" -XX:MaxDirectMemorySize=64m
  # The retries let it wait for the NameNode; without them it would sleep 5 s after the first refusal.
  spawn "$1" "${JAVA[@]}" "$DATANODE" \
    -D "dfs.datanode.data.dir=$DIR/data/$1" \
    -D "dfs.datanode.address=$(datanode_address "$2" 1)" \
    -D "dfs.datanode.ipc.address=$(datanode_address "$2" 2)" \
    -D "dfs.datanode.http.address=$(datanode_address "$2" 3)" \
    -D ipc.client.connect.max.retries=100 -D ipc.client.connect.retry.interval=100
}

await() { # NAME
  case $1 in
    nn*) await_log "$1" 'NameNode RPC up at' ;;
    jn*) await_log "$1" 'IPC Server listener on .*: starting' ;;
    dn*) await_log "$1" 'Successfully sent block report' ;;
  esac
}

jmx() { # NAMENODE BEAN
  exec 3<>"/dev/tcp/127.0.0.1/$(http_port "$1")" || return 0
  printf 'GET /jmx?qry=Hadoop:service=NameNode,name=%s HTTP/1.0\r\n\r\n' "$2" >&3
  timeout 2 cat <&3 || true # one that is stopped does not answer
} 2>/dev/null

# operational asks a NameNode itself whether it has left safe mode and sees N DataNodes.
operational() { # NAMENODE N
  local reply
  reply=$(jmx "$1" FSNamesystemState)
  [[ $reply == *'"FSState" : "Operational"'* ]] && grep -qE "\"NumLiveDataNodes\" : [$2-9]," <<<"$reply"
}

await_operational() { # NAMENODE N
  local end=$((SECONDS + DEADLINE))
  until operational "$1" "$2"; do
    ((SECONDS < end)) || die "the NameNode is not operational after $DEADLINE s; see $DIR/log/$1.log"
    sleep 0.1
  done
}

# in_state prints the NameNodes that say that they are active, or standby. One that is stopped or dead says nothing.
in_state() { # active|standby
  local name reply
  for name in $(namenodes); do
    reply=$(jmx "$name" NameNodeStatus)
    [[ $reply != *"\"State\" : \"$1\""* ]] || echo "$name"
  done
}

# failover lets Hadoop hand over: it asks the other NameNode to stand by, and goes on without its answer.
failover() {
  local from=nn1 to
  load_cluster
  ha || die "$DIR holds a cluster with one NameNode; a failover needs 'up ha'"
  to=$(in_state standby)
  [[ $to == nn[12] ]] || die "there is not one NameNode that stands by, but '$to'"
  [[ $to != nn1 ]] || from=nn2
  tool "$HAADMIN" -failover "$from" "$to" >"$DIR/log/failover.log" 2>&1 ||
    die "cannot make $to active:"$'\n'"$(tail -n 15 "$DIR/log/failover.log")"
}

up() {
  local i name
  open_cluster "${1:-1}" "${LOGPIPE_HDFS_PORT:-19800}" 36
  write_config
  if ha; then
    for i in 1 2 3; do launch "jn$i"; done
    for i in 1 2 3; do await "jn$i"; done
  fi
  format
  for name in $(namenodes); do launch "$name"; done
  for ((i = 1; i <= $(datanodes); i++)); do launch "dn$i"; done
  for name in $(namenodes); do await "$name"; done
  if ha && [[ -z $(in_state active) ]]; then tool "$HAADMIN" -transitionToActive nn1; fi
  for ((i = 1; i <= $(datanodes); i++)); do await "dn$i"; done
  for name in $(namenodes); do await_operational "$name" "$(datanodes)"; done
  echo "namenode=$(uri)"
  if ha; then echo "namenodes=$(rpc_address nn1),$(rpc_address nn2)"; fi
  echo "conf=$CONF"
}

check_name() { # NAME...
  local name kind='nn'
  load_cluster
  if ha; then kind='nn[12]|jn[1-3]'; fi
  (($# > 0)) || die "no process is named"
  for name in "$@"; do
    [[ $name =~ ^($kind|dn[1-3])$ ]] || die "there is no process '$name'"
  done
}

start() { # NAME...
  local name
  check_name "$@"
  for name in "$@"; do launch "$name"; done
  for name in "$@"; do await "$name"; done
  for name in "$@"; do
    if [[ $name == nn* && $(processes) == *dn* ]]; then await_operational "$name" 1; fi
  done
}

# tool runs one of Hadoop's programs.
tool() { # CLASS ARG...
  hadoop_command -XX:TieredStopAtLevel=1 -Dhadoop.root.logger=WARN
  "${JAVA[@]}" "$@"
}

client() { # CLASS ARG...
  require_java
  load_cluster
  tool "$@"
}

case ${1:-} in
  up) up "${2:-1}" ;;
  down) down "${2:-}" ;;
  status) status ;;
  start) start "${@:2}" ;;
  stop) check_name "${2:-}" && end TERM "$2" ;;
  kill) check_name "${2:-}" && end KILL "$2" ;;
  active) load_cluster && in_state active ;;
  failover) failover ;;
  dfs) client org.apache.hadoop.fs.FsShell "${@:2}" ;;
  admin) client org.apache.hadoop.hdfs.tools.DFSAdmin "${@:2}" ;;
  haadmin) client "$HAADMIN" "${@:2}" ;;
  guard) guard ;;
  *)
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
