#!/usr/bin/env bash
# cluster.sh up|down: a kind cluster with the operator of this checkout in it.
#
# The images are built by hack/images and loaded into the nodes; no registry takes part.
set -euo pipefail
cd "$(dirname "$0")/.."
RELEASE=${LOGPIPE_RELEASE:-logpipe}
VERSION=${VERSION:-v0.1.0}

case ${1:-} in
  up)
    environment=$(hack/kube.sh up "${WORKERS:-1}")
    eval "$environment"
    go -C hack/images run . -version "$VERSION" >&2
    hack/kube.sh load bin/images/{manager,agent,sink}.tar
    # The manager needs nothing that Pod Security could refuse.
    kubectl create namespace logpipe-system --dry-run=client -o yaml | kubectl apply -f - >&2
    kubectl label --overwrite namespace logpipe-system pod-security.kubernetes.io/enforce=restricted >&2
    "$(hack/kube.sh tool helm)" upgrade --install "$RELEASE" charts/logpipe --namespace logpipe-system \
      --wait --timeout 3m --set "image.tag=$VERSION" \
      --set-string "podAnnotations.images=$(sha256sum bin/images/digests.txt | cut -c1-12)" >&2
    kubectl -n logpipe-system rollout status deployment/"$RELEASE" --timeout=120s >&2
    echo "The operator runs. For kubectl: eval \"\$(hack/kube.sh env)\"" >&2
    echo "$environment"
    ;;
  down) hack/kube.sh down ;;
  *) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" && exit 2 ;;
esac
