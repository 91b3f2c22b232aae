#!/usr/bin/env bash
# system-images.sh DIR: build the images that kubeadm and kind expect, into DIR/images.tar. In the environment: ROOTFS of a
# node, PARTS, BIN and KUBERNETES_VERSION.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
CONTEXT=$1/images
all=()

names=$("$BIN/kubeadm" config images list --kubernetes-version "$KUBERNETES_VERSION" 2>/dev/null)
rm -rf "$CONTEXT"

# build NAME BINARY TAG...: an image of one static binary.
build() {
  local name=$1 binary=$2 tags=() tag
  shift 2
  for tag in "$@"; do tags+=(-t "$tag") && all+=("$tag"); done
  mkdir -p "$CONTEXT/$name"
  cp "$binary" "$CONTEXT/$name/$name"
  printf 'FROM scratch\nCOPY %s /%s\nENTRYPOINT ["/%s"]\n' "$name" "$name" "$name" >"$CONTEXT/$name/Dockerfile"
  docker build -q "${tags[@]}" "$CONTEXT/$name"
}

# kubernetes is one image for etcd, the control plane and kube-proxy, with the tools that kube-proxy runs.
kubernetes() {
  local root=$CONTEXT/kubernetes/root name file tags=()
  mkdir -p "$root"/{usr/local/bin,usr/sbin,etc,tmp}
  cp "$BIN/kube" "$root/usr/local/bin/"
  for name in kube-apiserver kube-controller-manager kube-scheduler kube-proxy etcd kubectl; do
    ln -s kube "$root/usr/local/bin/$name"
  done
  for file in usr/sbin/nft usr/sbin/xtables-nft-multi usr/sbin/ipset usr/sbin/conntrack \
    $(cd "$ROOTFS" && ls -d usr/lib/x86_64-linux-gnu/xtables/*.so); do
    mkdir -p "$root/$(dirname "$file")"
    cp "$ROOTFS/$file" "$root/$file"
    chroot "$ROOTFS" ldd "/$file" 2>/dev/null | awk '/=> \//{print $3} /ld-linux/{print $1}'
  done | sort -u | while read -r file; do
    mkdir -p "$root$(dirname "$file")"
    cp -L "$ROOTFS$file" "$root$file"
  done
  for name in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
    ln -s xtables-nft-multi "$root/usr/sbin/$name"
  done
  cp "$ROOTFS"/etc/{protocols,services} "$root/etc/" 2>/dev/null || true
  echo 'root:x:0:0:root:/:/' >"$root/etc/passwd"
  printf 'FROM scratch\nCOPY root/ /\nENV PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n' \
    >"$CONTEXT/kubernetes/Dockerfile"
  for name in $(grep -v -E 'pause|coredns' <<<"$names"); do tags+=(-t "$name") && all+=("$name"); done
  docker build -q "${tags[@]}" "$CONTEXT/kubernetes"
}

kubernetes
source=$(cd "$HERE" && go list -m -f '{{.Dir}}' k8s.io/kubernetes)
gcc -Os -static -s -DVERSION=local -o "$CONTEXT/pause-binary" "$source/build/pause/linux/pause.c"
build pause "$CONTEXT/pause-binary" "$(grep pause <<<"$names")" \
  "$(sed -n 's/.*sandbox_image = "\(.*\)"/\1/p; s/.*sandbox = "\(.*\)"/\1/p' "$ROOTFS/etc/containerd/config.toml" | head -1)"
build coredns "$PARTS/coredns" "$(grep coredns <<<"$names")"
build kindnet "$PARTS/kindnet" localhost/kindnet:v1
docker save -o "$1/images.tar" "${all[@]}"
rm -rf "$CONTEXT"
