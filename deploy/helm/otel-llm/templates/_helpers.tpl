{{- define "otel-llm.name" -}}
{{- printf "%s" .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Labels of a part: (list . "gateway"). */}}
{{- define "otel-llm.selector" -}}
app.kubernetes.io/name: otel-llm
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "otel-llm.labels" -}}
{{ include "otel-llm.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name (index . 0).Chart.Version }}
{{- end -}}

{{- define "otel-llm.image" -}}
{{ .repository }}:{{ .tag }}
{{- end -}}

{{/* What every container of ours is held to. */}}
{{- define "otel-llm.hardened" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* The agents' list of gateways: a name for each replica, so that every node has the same list. */}}
{{- define "otel-llm.gateways" -}}
{{- $name := printf "%s-gateway" (include "otel-llm.name" .) -}}
{{- $out := list -}}
{{- range $n := until (int .Values.gateway.replicas) -}}
{{- $out = append $out (printf "%s-%d.%s.%s.svc:4317" $name $n $name $.Release.Namespace) -}}
{{- end -}}
{{- $out | toJson -}}
{{- end -}}

{{- define "otel-llm.clickhouse" -}}
- {name: OTEL_LLM_CLICKHOUSE_URL, value: {{ .Values.clickhouse.url | quote }}}
- {name: OTEL_LLM_CLICKHOUSE_USER, value: {{ .Values.clickhouse.user | quote }}}
- {name: OTEL_LLM_CLICKHOUSE_DATABASE, value: {{ .Values.clickhouse.database | quote }}}
- {name: OTEL_LLM_CLICKHOUSE_CLUSTER, value: {{ .Values.clickhouse.cluster | quote }}}
- name: OTEL_LLM_CLICKHOUSE_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ .Values.clickhouse.secret }}, key: password}}
{{- if .Values.clickhouse.ca }}
- {name: OTEL_LLM_CLICKHOUSE_CA_FILE, value: /etc/clickhouse-ca/ca.crt}
{{- end }}
{{- end -}}

{{/* Read at every change of the configuration, so that pods start anew. */}}
{{- define "otel-llm.checksum" -}}
checksum/config: {{ include (print $.Template.BasePath "/collector-config.yaml") . | sha256sum }}
{{- end -}}
