{{- define "logpipe.name" -}}
{{- if contains "logpipe" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-logpipe" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end -}}
{{- end }}

{{- define "logpipe.selector" -}}
app.kubernetes.io/name: logpipe-manager
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "logpipe.labels" -}}
{{ include "logpipe.selector" . }}
app.kubernetes.io/component: manager
app.kubernetes.io/part-of: logpipe
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "logpipe.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ .Values.serviceAccount.name | default (include "logpipe.name" .) }}{{ else }}{{ required "serviceAccount.name: name an account, or set serviceAccount.create" .Values.serviceAccount.name }}{{ end -}}
{{- end }}

{{- /* The image of one program: (list . "agent"). */ -}}
{{- define "logpipe.image" -}}
{{- $root := index . 0 }}{{ $image := index $root.Values.image (index . 1) -}}
{{- with $root.Values.image.registry }}{{ trimSuffix "/" . }}/{{ end }}{{ $image.repository }}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $root.Values.image.tag | default $root.Chart.AppVersion }}{{ end -}}
{{- end }}
