#!/usr/bin/env bash
# node-parts.sh DIR: build what a node has besides Kubernetes, each from its Go module.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
OUT=$1
CONTAINERD=v2.3.7 RUNC=v1.4.3 PLUGINS=v1.9.1 CRICTL=v1.36.0

install_go() { CGO_ENABLED=0 GOBIN=$OUT go install -trimpath -ldflags "-s -w ${FLAGS:-}" "$@"; }

mkdir -p "$OUT"
for plugin in ipam/host-local main/loopback main/ptp main/bridge meta/portmap; do
  install_go "github.com/containernetworking/plugins/plugins/$plugin@$PLUGINS"
done
# runc enters namespaces in C, and the kubelet asks for its seccomp profile.
CGO_ENABLED=1 GOBIN=$OUT go install -trimpath -tags "seccomp netgo osusergo" \
  -ldflags "-s -w -X main.version=${RUNC#v}" "github.com/opencontainers/runc@$RUNC"
for program in containerd ctr containerd-shim-runc-v2; do
  FLAGS="-X github.com/containerd/containerd/v2/version.Version=$CONTAINERD" install_go \
    -tags "no_aufs no_zfs no_btrfs no_devmapper netgo osusergo" \
    "github.com/containerd/containerd/v2/cmd/$program@$CONTAINERD"
done
cd "$HERE/coredns"
CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o "$OUT/coredns" .
cd "$HERE/crictl"
CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X sigs.k8s.io/cri-tools/pkg/version.Version=$CRICTL" \
  -o "$OUT/crictl" sigs.k8s.io/cri-tools/cmd/crictl
cd "$HERE"
CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o "$OUT/kindnet" ./cmd/kindnet
touch "$OUT/complete"
