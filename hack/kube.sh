#!/usr/bin/env bash
# A real Kubernetes cluster (kind) and the binaries that tests of controllers need, on a machine with or without a
# registry of container images.
#
#   kube.sh install            install the Debian packages that are missing; up does so, too, where it is root
#   kube.sh assets             build kube-apiserver, etcd and kubectl if need be; print KUBEBUILDER_ASSETS
#   kube.sh tool NAME          build helm, kind or kwok if need be; print its path
#   kube.sh up [WORKERS]       bring the cluster up, by default with one worker
#   kube.sh load ARCHIVE...    load archives of images into all nodes
#   kube.sh env                print what a shell needs to use the cluster, for eval
#   kube.sh host-address       print the address at which pods reach servers on this machine
#   kube.sh status             show nodes and pods
#   kube.sh down               remove the cluster, and the docker daemon if it was started here
#
# LOGPIPE_CLUSTER     name of the cluster, default logpipe
# LOGPIPE_NODE_IMAGE  image of the nodes; default: kind's own where it can be pulled, else one that is built from Go
#                     modules and Debian packages, once per machine
set -euo pipefail

HERE=$(cd "$(dirname "$0")" && pwd)/kube
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/logpipe
KUBE=$CACHE/kube
CLUSTER=${LOGPIPE_CLUSTER:-logpipe}
VERSION=v1.37.2
HELM=helm.sh/helm/v4@v4.3.1 KIND=sigs.k8s.io/kind@v0.33.0 KWOK=sigs.k8s.io/kwok@v0.8.0
DAEMON_PACKAGES=(docker.io iptables iproute2 procps ipset conntrack)
IMAGE_PACKAGES=(mmdebstrap libseccomp-dev pkg-config gcc libc6-dev)

say() { echo "kube.sh: $*" >&2; }
die() { say "$@" && exit 1; }
usage() { sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; }

# once FILE LOCK COMMAND...: run the command unless FILE is there; at most one of several callers does.
once() {
  local file=$1 lock=$2
  shift 2
  mkdir -p "$(dirname "$lock")"
  (
    flock 9
    [[ -e $file ]] || "$@"
  ) 9>"$lock" >&2
}

install_packages() { # PACKAGE...
  local missing=() package
  command -v dpkg >/dev/null || die "this is no Debian: install docker"
  for package in "$@"; do
    dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  ((EUID == 0)) || die "install ${missing[*]}, or use sudo: without a docker that runs, and without kind's node image, both are made"
  apt-get update
  # A daemon that the package starts would be another one than ours.
  printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d
  DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
  rm -f /usr/sbin/policy-rc.d
}

# key names what Kubernetes is built from.
key() { cat "$HERE"/go.mod "$HERE"/go.sum "$HERE"/cmd/kube/main.go "$HERE"/assets.sh | sha256sum | cut -c1-12; }

assets() {
  local dir
  dir=$KUBE/assets-$(key)
  once "$dir/kube-apiserver" "$KUBE/assets.lock" "$HERE/assets.sh" "$dir"
  echo "$dir"
}

tool() { # NAME
  local module package
  case $1 in
    helm) module=$HELM package=helm.sh/helm/v4/cmd/helm ;;
    kind) module=$KIND package=sigs.k8s.io/kind ;;
    kwok) module=$KWOK package=sigs.k8s.io/kwok/cmd/kwok ;;
    *) die "no such tool: $1 (helm, kind, kwok)" ;;
  esac
  local path=$CACHE/bin/$1-${module#*@}
  once "$path" "$KUBE/$1.lock" install_tool "$path" "$package@${module#*@}"
  echo "$path"
}

install_tool() { # PATH PACKAGE@VERSION
  local partial
  partial=$(mktemp -d "$KUBE/partial-XXXXXX")
  CGO_ENABLED=0 GOBIN=$partial go install -trimpath -ldflags "-s -w" "$2"
  mkdir -p "$(dirname "$1")"
  mv "$partial"/* "$1"
  rmdir "$partial"
}

SOCKET=$KUBE/run/docker.sock

# docker_up uses the docker that there is, or starts one of our own.
docker_up() {
  if [[ ! -e $KUBE/run/dockerd.pid ]] && docker info >/dev/null 2>&1; then return; fi
  export DOCKER_HOST=unix://$SOCKET
  if docker info >/dev/null 2>&1; then return; fi
  install_packages "${DAEMON_PACKAGES[@]}" >&2
  say "starting a docker daemon"
  mkdir -p "$KUBE/run"
  rm -f "$KUBE/run/dockerd.pid"
  sysctl -qw net.ipv4.ip_forward=1 fs.inotify.max_user_instances=1024 fs.inotify.max_user_watches=1048576
  setsid dockerd --data-root "$KUBE/docker" --exec-root "$KUBE/run/exec" -p "$KUBE/run/dockerd.pid" \
    -H "$DOCKER_HOST" --bip 10.201.0.1/24 --default-address-pool base=10.202.0.0/16,size=24 \
    --storage-driver overlay2 --add-runtime "lesscaps=$HERE/runc-lesscaps" --default-runtime lesscaps \
    >"$KUBE/run/dockerd.log" 2>&1 </dev/null 9>&- &
  for _ in $(seq 150); do
    docker info >/dev/null 2>&1 && return
    sleep .2
  done
  tail "$KUBE/run/dockerd.log" >&2
  die "the docker daemon does not start"
}

docker_down() {
  local pid
  [[ -e $KUBE/run/dockerd.pid ]] || return 0
  pid=$(<"$KUBE/run/dockerd.pid")
  kill "$pid" 2>/dev/null || true
  for _ in $(seq 100); do
    [[ -e /proc/$pid ]] || break
    sleep .2
  done
  rm -f "$KUBE/run/dockerd.pid" "$SOCKET"
  ip link del docker0 2>/dev/null || true
}

# docker_ours finds our daemon again, if it runs.
docker_ours() { if [[ -e $KUBE/run/dockerd.pid ]]; then export DOCKER_HOST=unix://$SOCKET; fi; }

# node_image prints the image of the nodes, and has it built where it can't be pulled.
node_image() {
  local stock=kindest/node:$VERSION built
  if [[ -n ${LOGPIPE_NODE_IMAGE:-} ]]; then
    echo "$LOGPIPE_NODE_IMAGE"
    return
  fi
  built=localhost/logpipe-node:$(cat "$HERE"/*.sh "$HERE"/*/go.sum "$HERE"/cmd/*/*.go "$HERE/node-packages" | sha256sum |
    cut -c1-12)-$(key)
  if docker image inspect "$built" >/dev/null 2>&1; then
    echo "$built"
  elif docker image inspect "$stock" >/dev/null 2>&1 || timeout 300 docker pull -q "$stock" >/dev/null 2>&1; then
    echo "$stock"
  else
    say "kind's node image can't be pulled: building one from Go modules and Debian packages"
    install_packages "${IMAGE_PACKAGES[@]}" >&2
    KUBE_BUILD=$KUBE/build KUBE_ASSETS=$(assets) KIND_MODULE=$KIND DOCKER_BUILDKIT=0 "$HERE/node-image.sh" "$built" >&2
    echo "$built"
  fi
}

up() { # [WORKERS]
  local workers=${1:-1} kind image config i
  kind=$(tool kind)
  docker_up
  export KUBECONFIG=$KUBE/run/kubeconfig
  mkdir -p "$KUBE/run"
  if ! "$kind" get clusters 2>/dev/null | grep -qx "$CLUSTER"; then
    image=$(node_image)
    config=$KUBE/run/kind.yaml
    cp "$HERE/kind.yaml" "$config"
    for ((i = 0; i < workers; i++)); do sed -i 's/^- role: control-plane$/&\n- role: worker/' "$config"; done
    "$kind" create cluster --name "$CLUSTER" --image "$image" --config "$config" --wait 180s >&2
  fi
  "$kind" export kubeconfig --name "$CLUSTER" >/dev/null 2>&1
  # The API server of a cluster whose containers were started again knows its users after a moment.
  for i in $(seq 100); do
    kubectl get nodes >/dev/null 2>&1 && break
    sleep .5
  done
  kubectl wait --for=condition=Ready nodes --all --timeout=180s >&2
  kubectl -n kube-system rollout status deployment/coredns --timeout=180s >&2
  i=0
  for node in $(kubectl get nodes -o name | sort); do
    kubectl label --overwrite "$node" topology.kubernetes.io/region=region-1 \
      "topology.kubernetes.io/zone=zone-$(printf '%b' "\\x$((61 + i++))")" >&2
  done
  environment
}

kubectl() { "$(assets)/kubectl" "$@"; }

environment() {
  docker_ours
  echo "export KUBECONFIG=$KUBE/run/kubeconfig PATH=$(assets):\$PATH${DOCKER_HOST:+ DOCKER_HOST=$DOCKER_HOST}"
}

load() {
  local archive
  docker_ours
  for archive in "$@"; do "$(tool kind)" load image-archive --name "$CLUSTER" "$archive" >&2; done
}

# An address of this machine that is in no network of docker: docker hides the sender of what comes from those, even on
# the way from this machine to itself, and a DataNode registers with the address that the NameNode sees.
HOST_ADDRESS=10.203.0.1

host_address() {
  if ! ip -4 addr show dev lo | grep -qF "$HOST_ADDRESS/"; then
    ip addr add "$HOST_ADDRESS/32" dev lo || die "pods reach this machine at an address of lo, which only root can add"
  fi
  echo "$HOST_ADDRESS"
}

down() {
  docker_ours
  if docker info >/dev/null 2>&1; then
    "$(tool kind)" delete cluster --name "$CLUSTER" >&2 || true
    docker network rm kind >/dev/null 2>&1 || true
  fi
  docker_down
  ip addr del "$HOST_ADDRESS/32" dev lo 2>/dev/null || true
  rm -f "$KUBE/run/kubeconfig"
}

command=${1:-}
shift || true
case $command in
  install) install_packages "${DAEMON_PACKAGES[@]}" "${IMAGE_PACKAGES[@]}" ;;
  assets) assets ;;
  tool) tool "${1:?name a tool}" ;;
  up) up "$@" ;;
  load) load "$@" ;;
  env) environment ;;
  host-address) host_address ;;
  status)
    eval "$(environment)"
    kubectl get nodes,pods -A
    ;;
  down) down ;;
  *) usage && exit 2 ;;
esac
