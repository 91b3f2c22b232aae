# Sourced by kafka.sh and hdfs.sh: jars from Maven Central, ports, and daemons on loopback. Linux only.
#
# A cluster is one directory, $DIR:
#   port, size        what `up` was first called with
#   log/NAME.log      the output of a process; log/NAME.log.1 is that of its previous run
#   pid/NAME          its process id
# shellcheck shell=bash

SERVERS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CACHE=${LOGPIPE_SERVERS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/logpipe/servers}
DEADLINE=${LOGPIPE_START_DEADLINE:-120} # seconds a process may take until it is ready

note() { printf '%s\n' "$*" >&2; }

die() {
  note "${0##*/}: $*"
  exit 1
}

require() {
  command -v "$1" >/dev/null || die "$1 is missing. On Debian or Ubuntu: apt-get install $2"
}

require_java() {
  require java openjdk-17-jre-headless
  local version
  version=$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p')
  ((${version:-0} >= 17)) || die "java ${version:-?} is too old, 17 is needed: apt-get install openjdk-17-jre-headless"
}

# jars MODULE prints the directory with the jars of servers/MODULE/pom.xml. Its name carries the hash of that file, and it
# appears by a rename, so what is there is complete.
jars() {
  local pom=$SERVERS/$1/pom.xml hash target
  hash=$(sha256sum "$pom")
  target=$CACHE/$1-${hash:0:16}
  [[ -d $target ]] || fetch_jars "$1" "$pom" "$target" || exit 1
  printf '%s\n' "$target"
}

# fetch_jars holds one lock for all modules: two Maven runs must not write one local repository at the same time.
fetch_jars() (
  require mvn maven
  mkdir -p "$CACHE"
  exec 9>"$CACHE/lock"
  flock 9
  [[ -d $3 ]] && return
  note "fetching the jars of $1 from Maven Central (once) ..."
  local partial=$CACHE/partial-$1 tries=0
  until rm -rf "$partial" &&
    mvn -B -q -f "$2" dependency:copy-dependencies -DoutputDirectory="$partial" </dev/null >"$CACHE/$1.log" 2>&1; do
    ((++tries < 3)) || die "Maven could not fetch the jars of $1:"$'\n'"$(tail -n 15 "$CACHE/$1.log")"
    sleep 2
  done
  mv "$partial" "$3"
)

# class_path DIR joins the jars of a directory, always in the same order.
class_path() {
  local all=("$1"/*.jar) IFS=:
  printf '%s\n' "${all[*]}"
}

port_in_use() { (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# free_ports COUNT prints the first of COUNT (at most 50) free ports in a row. File descriptor 7 holds the reservation:
# every daemon inherits its lock, so the block stays taken until the last of them is gone.
free_ports() {
  local base port tries
  mkdir -p "$CACHE/ports"
  for ((tries = 0; tries < 100; tries++)); do
    base=$((20000 + 50 * (RANDOM % 200)))
    exec 7>"$CACHE/ports/$base"
    flock -n 7 || continue
    for ((port = base; port < base + $1; port++)); do
      port_in_use "$port" && continue 2
    done
    BASE=$base
    return
  done
  die "found no $1 free ports in a row on 127.0.0.1"
}

# open_cluster SIZE PORT COUNT makes or reopens $DIR under its lock (file descriptor 8) and sets SIZE and BASE. Port 0 picks
# free ones; SIZES are the sizes that there are. A directory keeps its size and ports for life: they are written in the
# servers' own data.
open_cluster() {
  [[ " ${SIZES:-1 3} " == *" $1 "* ]] || die "the size must be one of ${SIZES:-1 3}, not '$1'"
  require_java
  mkdir -p "$DIR"
  exec 8>"$DIR/lock"
  flock 8
  SIZE=$1
  if [[ -f $DIR/size ]]; then
    load_cluster
    [[ $SIZE == "$1" ]] || die "$DIR holds a cluster of size $SIZE; run 'down wipe' first, or choose another directory"
    return
  fi
  if [[ -n $(ls -A --ignore=lock "$DIR") ]]; then # 'down wipe' would delete it all
    rm "$DIR/lock"
    die "$DIR is not empty and not a cluster"
  fi
  mkdir "$DIR/log" "$DIR/pid"
  if [[ $2 == 0 ]]; then
    free_ports "$3"
  else
    BASE=$2
  fi
  echo "$BASE" >"$DIR/port"
  echo "$SIZE" >"$DIR/size"
}

# load_cluster sets SIZE and BASE from an existing cluster.
load_cluster() {
  [[ -f $DIR/size ]] || die "there is no cluster in $DIR; run 'up' first"
  SIZE=$(<"$DIR/size")
  BASE=$(<"$DIR/port")
}

# mark NAME is the JVM flag by which a process is known as ours, in case its process id was reused.
mark() { printf -- '-Dlogpipe.server=%s/%s' "$DIR" "$1"; }

pid_of() { cat "$DIR/pid/$1" 2>/dev/null; }

alive() {
  local pid
  pid=$(pid_of "$1") && grep -qszxF -- "$(mark "$1")" "/proc/$pid/cmdline"
}

# spawn NAME COMMAND... starts a daemon in a session of its own.
spawn() {
  local name=$1 log=$DIR/log/$1.log try
  shift
  [[ ! -f $log ]] || mv "$log" "$log.1"
  setsid "$@" >"$log" 2>&1 </dev/null 8>&- &
  echo $! >"$DIR/pid/$name"
  for ((try = 0; try < 1500; try++)); do # until exec has happened, which takes long on a busy machine
    alive "$name" && return
    kill -0 $! 2>/dev/null || return 0 # whoever waits for its log says what became of it
    sleep 0.02
  done
}

# await_log NAME PATTERN waits until a daemon has logged a line.
await_log() {
  local log=$DIR/log/$1.log end=$((SECONDS + DEADLINE))
  until grep -qE "$2" "$log"; do
    # While setsid becomes the program, there is no command line to be seen.
    alive "$1" || { sleep 1 && alive "$1"; } || die "$1 died while starting; the end of $log:"$'\n'"$(tail -n 25 "$log")"
    ((SECONDS < end)) || die "$1 is not ready after $DEADLINE s; the end of $log:"$'\n'"$(tail -n 25 "$log")"
    sleep 0.1
  done
}

# gone PID: a killed process loses its command line first and its ports and file locks last, with its last thread.
gone() {
  [[ ! -d /proc/$1 ]] || [[ $(ls "/proc/$1/task" 2>/dev/null) == "$1" && $(</proc/"$1"/stat) == *') Z '* ]] 2>/dev/null
}

# end SIGNAL NAME... ends processes together; one that ignores SIGTERM for 20 s is killed.
end() {
  local signal=$1 name pid pids=() stop=$((SECONDS + 20))
  shift
  for name in "$@"; do
    if alive "$name"; then
      pid=$(pid_of "$name")
      pids+=("$pid")
      kill "-$signal" "$pid" 2>/dev/null || true
    fi
  done
  for pid in "${pids[@]}"; do
    until gone "$pid"; do
      ((SECONDS < stop)) || kill -KILL "$pid" 2>/dev/null || true
      sleep 0.05
    done
  done
  for name in "$@"; do rm -f "$DIR/pid/$name"; done
}

# processes prints the names of all processes that were started and not ended.
processes() { [[ ! -d $DIR/pid ]] || ls "$DIR/pid"; }

# down [wipe]: with wipe the data goes too, so nothing is gained by a clean stop.
down() {
  local names wipe=${1:-}
  [[ -z $wipe || $wipe == wipe ]] || die "down: unknown word '$wipe'"
  mapfile -t names < <(processes)
  if [[ -n $wipe ]]; then
    end KILL "${names[@]}"
    if [[ -f $DIR/size ]]; then rm -rf "$DIR"; fi
  else
    end TERM "${names[@]}"
  fi
}

# guard waits for the end of its standard input and then wipes the cluster: whoever holds the other end of the pipe may die
# in any way, and no server outlives it.
guard() {
  cat >/dev/null || true
  down wipe
}

status() {
  local name pid
  for name in $(processes); do
    if alive "$name"; then
      pid=$(pid_of "$name")
      printf '%s pid %s rss %s MiB\n' "$name" "$pid" "$(awk '/^VmRSS/ {print int($2 / 1024)}' "/proc/$pid/status")"
    else
      printf '%s dead\n' "$name"
    fi
  done
}
