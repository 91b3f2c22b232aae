#!/usr/bin/env bash
# node-image.sh TAG: build the image of a kind node from Debian packages, kind's own files, Kubernetes and the images that
# kubeadm expects. In the environment: KUBE_BUILD, a directory to work in; KUBE_ASSETS; KIND_MODULE.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
TAG=$1
R=$KUBE_BUILD/rootfs PARTS=$KUBE_BUILD/parts BIN=$KUBE_ASSETS
mkdir -p "$KUBE_BUILD"
KIND_SOURCE=$(cd "$KUBE_BUILD" && go mod download -json "$KIND_MODULE" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
KUBELET_VERSION=$("$BIN/kubectl" version --client -o json | sed -n 's/.*"gitVersion": "\(.*\)".*/\1/p')

debian() {
  local mirror
  mirror=$(sed -n 's/^URIs: //p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -1)
  [[ -f $KUBE_BUILD/debian.tar ]] || mmdebstrap --variant=minbase --include="$(cat "$HERE/node-packages")" \
    --aptopt='APT::Install-Recommends "false"' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    bookworm "$KUBE_BUILD/debian.tar" "${mirror:-http://deb.debian.org/debian}"
  rm -rf "$R"
  mkdir -p "$R"
  tar -C "$R" -xf "$KUBE_BUILD/debian.tar"
}

# kind_files puts kind's files where its own image has them.
kind_files() {
  local f=$KIND_SOURCE/images/base/files unit
  mkdir -p "$R"/{kind/bin,kind/manifests,LICENSES,etc/containerd,etc/default,etc/sysctl.d,etc/kubernetes/manifests} \
    "$R"/{etc/systemd/system/kubelet.service.d,opt/cni/bin}
  install -m755 "$f"/usr/local/bin/* "$R/usr/local/bin/"
  install -m755 "$f"/kind/bin/* "$R/kind/bin/"
  install -m644 "$f/etc/crictl.yaml" "$R/etc/"
  install -m644 "$f"/etc/containerd/* "$R/etc/containerd/"
  install -m644 "$f"/etc/default/* "$R/etc/default/"
  install -m644 "$f"/etc/sysctl.d/* "$R/etc/sysctl.d/"
  install -m644 "$f"/etc/systemd/system/kubelet.service.d/* "$R/etc/systemd/system/kubelet.service.d/"
  for unit in containerd-fuse-overlayfs.service containerd.service kubelet.service kubelet.slice \
    undo-mount-hacks.service; do
    install -m644 "$f/etc/systemd/system/$unit" "$R/etc/systemd/system/"
  done
  find "$R/lib/systemd/system/sysinit.target.wants/" -name systemd-tmpfiles-setup.service -delete
  rm -f "$R"/lib/systemd/system/multi-user.target.wants/* "$R"/etc/systemd/system/*.wants/* \
    "$R"/lib/systemd/system/local-fs.target.wants/* "$R"/lib/systemd/system/sockets.target.wants/*udev* \
    "$R"/lib/systemd/system/sockets.target.wants/*initctl* "$R"/lib/systemd/system/basic.target.wants/*
  echo "ReadKMsg=no" >>"$R/etc/systemd/journald.conf"
  ln -sf /usr/lib/systemd/systemd "$R/sbin/init"
  chroot "$R" systemctl enable kubelet.service containerd.service undo-mount-hacks.service
  chroot "$R" systemctl mask systemd-binfmt.service
}

programs() {
  local program
  install -m755 "$PARTS"/{containerd,ctr,containerd-shim-runc-v2,crictl} "$R/usr/local/bin/"
  install -m755 "$PARTS/runc" "$R/usr/local/sbin/runc"
  install -m755 "$PARTS"/{host-local,loopback,ptp,bridge,portmap} "$R/opt/cni/bin/"
  install -m755 "$BIN/kube" "$R/usr/bin/kube"
  for program in kubelet kubeadm kubectl; do ln -sf kube "$R/usr/bin/$program"; done
  echo -n "$KUBELET_VERSION" >"$R/kind/version"
  # Where CAP_SYS_RESOURCE is missing, no process can get a lower oom_score_adj.
  sed -i 's/restrict_oom_score_adj = false/restrict_oom_score_adj = true/' "$R/etc/containerd/config.toml"
  "$PARTS/ctr" oci spec | python3 -c '
import json, sys
spec = json.load(sys.stdin)
spec["process"].pop("rlimits", None)
hook = {"path": "/kind/bin/mount-product-files.sh"}
spec.setdefault("hooks", {}).setdefault("createContainer", []).append(hook)
json.dump(spec, sys.stdout)' >"$R/etc/containerd/cri-base.json"
}

manifests() {
  sed -n '/^const defaultCNIManifest = `/,/^`/p' "$KIND_SOURCE/pkg/build/nodeimage/const_cni.go" |
    sed -e '1d;$d' -e 's#` + kindnetdImage + `#localhost/kindnet:v1#' >"$R/kind/manifests/default-cni.yaml"
  cat >"$R/kind/manifests/default-storage.yaml" <<END
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: standard
  annotations: {storageclass.kubernetes.io/is-default-class: "true"}
provisioner: kubernetes.io/host-path
END
}

# preload puts the images into the node's containerd, by a containerd that runs here for a moment.
preload() {
  local state=$KUBE_BUILD/containerd pid
  rm -rf "$state" "$R/var/lib/containerd"
  mkdir -p "$state" "$R/var/lib/containerd"
  cat >"$state/config.toml" <<END
version = 3
disabled_plugins = ["io.containerd.cri.v1.runtime", "io.containerd.cri.v1.images", "io.containerd.grpc.v1.cri",
  "io.containerd.nri.v1.nri"]
END
  "$PARTS/containerd" -c "$state/config.toml" --root "$R/var/lib/containerd" --state "$state/state" \
    --address "$state/socket" >"$state/log" 2>&1 &
  pid=$!
  for _ in $(seq 50); do
    "$PARTS/ctr" -a "$state/socket" version >/dev/null 2>&1 && break
    sleep .2
  done
  "$PARTS/ctr" -a "$state/socket" -n k8s.io images import --label=io.cri-containerd.pinned=pinned --local \
    "$KUBE_BUILD/images.tar"
  kill "$pid"
  wait "$pid" || true
}

[[ -e $PARTS/complete ]] || "$HERE/node-parts.sh" "$PARTS"
debian
kind_files
ROOTFS=$R PARTS=$PARTS BIN=$BIN KUBERNETES_VERSION=$KUBELET_VERSION "$HERE/system-images.sh" "$KUBE_BUILD"
programs
manifests
preload
mkdir -p "$KUBE_BUILD/context"
tar -C "$R" -cf "$KUBE_BUILD/context/rootfs.tar" .
docker build -q -t "$TAG" -f - "$KUBE_BUILD/context" <<'END'
FROM scratch
ADD rootfs.tar /
ENV container=docker
STOPSIGNAL SIGRTMIN+3
ENTRYPOINT [ "/usr/local/bin/entrypoint", "/sbin/init" ]
END
rm -rf "$KUBE_BUILD/context" "$R" "$KUBE_BUILD/images.tar"
