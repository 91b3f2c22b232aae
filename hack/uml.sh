#!/usr/bin/env bash
# A machine of its own: a User-mode Linux kernel, which is a program that needs no rights. Killing it is what a power cut
# is to a machine: all that was not on its disk is gone. Its clock may be set.
#
#   uml.sh install         fetch the kernel, unless it is there; prints its directory
#   uml.sh run ROOT DISK   run a machine in the foreground, in place of this script
#
# ROOT is a directory that becomes its root file system, with the program /init and empty directories proc, sys, dev and
# tmp; it may be written to. DISK is a file, its disk /dev/ubda. It sees 127.0.0.1 of this machine as 10.0.2.2, through
# its network device eth0, 10.0.2.15. Its console is what this prints. Kernel and slirp are Debian's packages; see
# servers/debian.sh.
#
# LOGPIPE_SERVERS_CACHE  what was fetched; default ~/.cache/logpipe/servers
set -euo pipefail

HERE=$(cd "$(dirname "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=servers/daemon.sh
source "$HERE/servers/daemon.sh"
# shellcheck source-path=SCRIPTDIR source=servers/debian.sh
source "$HERE/servers/debian.sh"

case ${1:-} in
  install) unpacked user-mode-linux slirp ;;
  run)
    bin=$(unpacked user-mode-linux slirp)/usr/bin
    exec "$bin/linux.uml" mem=192M quiet \
      root=/dev/root rootfstype=hostfs rootflags="$2" rw init=/init ubda="$3" \
      eth0=slirp,,"$bin/slirp-fullbolt" con=null con0=null,fd:1 </dev/null
    ;;
  *)
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
