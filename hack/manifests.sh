#!/usr/bin/env bash
# manifests.sh: make the chart's CRDs of config/crd, and config/ for kustomize of the chart, so that they can't differ.
set -euo pipefail
cd "$(dirname "$0")/.."
HELM=${HELM:-$(hack/kube.sh tool helm)}
CHART=charts/logpipe

{
  echo '{{- /* Made by hack/manifests.sh from config/crd. */ -}}'
  echo '{{- if .Values.crds.install }}'
  for crd in config/crd/logpipe.dev_*.yaml; do
    sed 's/^    controller-gen.kubebuilder.io.*/&\n    helm.sh\/resource-policy: keep/' "$crd"
  done
  echo '{{- end }}'
} >"$CHART/templates/crds.yaml"

render() { # TEMPLATE...
  local template arguments=()
  for template in "$@"; do arguments+=(--show-only "templates/$template"); done
  echo '# Made by hack/manifests.sh from charts/logpipe.'
  # Helm is not there to manage what kustomize applies.
  "$HELM" template logpipe "$CHART" --namespace logpipe-system "${arguments[@]}" |
    sed -e '/^ *helm.sh\/chart:/d' -e 's/managed-by: Helm/managed-by: kustomize/' -e '/^# Source:/d'
}
render service-account.yaml rbac.yaml >config/rbac/rbac.yaml
render deployment.yaml extras.yaml >config/manager/manager.yaml
