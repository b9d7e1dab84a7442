{{- /* Names: RELEASE-rag-platform-COMPONENT, or RELEASE-COMPONENT when the release says it already. */ -}}
{{- define "rag.fullname" -}}
{{- if .Values.fullnameOverride }}{{ .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}{{ else -}}
{{- $name := .Values.nameOverride | default .Chart.Name -}}
{{- if contains $name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}{{ end -}}{{ end -}}
{{- end -}}

{{- /* list ROOT COMPONENT */ -}}
{{- define "rag.name" -}}
{{ include "rag.fullname" (index . 0) }}-{{ index . 1 }}
{{- end -}}

{{- define "rag.selector" -}}
app.kubernetes.io/name: {{ (index . 0).Chart.Name }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- /* By these the network policies find pods, also those of runs, which Dagster labels itself: list ROOT ROLE */ -}}
{{- define "rag.role" -}}
rag-platform/role: {{ index . 1 }}
rag-platform/release: {{ (index . 0).Release.Name }}
{{- end -}}

{{- define "rag.labels" -}}
{{ include "rag.selector" . }}
app.kubernetes.io/part-of: rag-platform
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
{{ include "rag.role" (list (index . 0) (regexReplaceAll "-(blue|green)$" (index . 1) "")) }}
helm.sh/chart: {{ (index . 0).Chart.Name }}-{{ (index . 0).Chart.Version }}
{{- include "rag.podLabels" (index . 0) }}
{{- end -}}

{{- define "rag.podLabels" -}}
{{- with .Values.pods.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "rag.podAnnotations" -}}
{{- with .Values.pods.annotations }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "rag.meta" -}}
name: {{ include "rag.name" . }}
namespace: {{ (index . 0).Release.Namespace }}
labels:
  {{- include "rag.labels" . | nindent 2 }}
{{- end -}}

{{- /* One setting as a plain number or word: list ROOT NAME DEFAULT. Helm reads every number as a float. */ -}}
{{- define "rag.setting" -}}
{{- $value := index . 2 -}}
{{- if hasKey (index . 0).Values.settings (index . 1) }}{{ $value = index (index . 0).Values.settings (index . 1) }}{{ end -}}
{{- include "rag.plain" $value -}}
{{- end -}}

{{- define "rag.plain" -}}
{{- if kindIs "slice" . }}{{ join "," . }}{{ else if kindIs "map" . }}{{ toJson . }}{{ else if and (kindIs "float64" .) (eq (floor .) .) }}{{ printf "%.0f" . }}{{ else }}{{ . }}{{ end -}}
{{- end -}}

{{- /* The gateway's cap on a call is a little above the server's own, so that callers see the server's error. */ -}}
{{- define "rag.gatewaySeconds" -}}
{{ add1f (include "rag.setting" (list . "max_deadline_seconds" 30.0) | float64) }}
{{- end -}}

{{- define "rag.image" -}}
{{- $root := index . 0 -}}{{- $role := index . 1 -}}
{{ include "rag.pinned" (list (printf "%s/%s" $root.Values.images.registry $role) (index $root.Values.images $role)) }}
{{- end -}}

{{- /* list IMAGE DIGEST_OR_TAG */ -}}
{{- define "rag.pinned" -}}
{{ join (ternary "@" ":" (hasPrefix "sha256:" (index . 1))) . }}
{{- end -}}

{{- /* Pod Security "restricted", said by every pod and container itself: list ROOT SERVICEACCOUNT UID */ -}}
{{- define "rag.podSecurity" -}}
serviceAccountName: {{ include "rag.name" (list (index . 0) (index . 1)) }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with (index . 0).Values.images.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ index . 2 }}
  runAsGroup: {{ index . 2 }}
  fsGroup: {{ index . 2 }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- $pods := (index . 0).Values.pods }}
{{- with $pods.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $pods.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $pods.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $pods.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{- define "rag.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  capabilities:
    drop: [ALL]
  seccompProfile:
    type: RuntimeDefault
{{- end -}}

{{- /* Resources without the empty processor limit. */ -}}
{{- define "rag.resources" -}}
requests:
  {{- toYaml .requests | nindent 2 }}
limits:
  memory: {{ .limits.memory }}
  {{- with .limits.cpu }}
  cpu: {{ . }}
  {{- end }}
{{- end -}}

{{- /* The keys of the Secret that our programs read: all optional to Kubernetes; the program says what is missing. */ -}}
{{- define "rag.secretNames" -}}
{{ .Files.Get "files/secrets.txt" }}
{{- end -}}

{{- /* list ROOT SECRET */ -}}
{{- define "rag.env" -}}
{{- $secret := index . 1 -}}
{{- range splitList " " (include "rag.secretNames" (index . 0)) }}
- name: {{ . }}
  valueFrom:
    secretKeyRef:
      name: {{ $secret }}
      key: {{ . }}
      optional: true
{{- end }}
{{- range $name, $value := (index . 0).Values.pods.env }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end -}}

{{- /* Environment variables that hold no secret. */ -}}
{{- define "rag.settings" -}}
RAG_ENVIRONMENT: {{ .Values.environment }}
RAG_HOST: 0.0.0.0
RAG_ALLOWED_HOSTS: {{ include "rag.allowedHosts" . | quote }}
RAG_LOG_JSON: "true"
{{- if include "rag.jwksSource" . }}
RAG_JWT_PUBLIC_KEYS: /etc/rag/jwks/jwks.json
{{- end }}
RAG_SOURCES_DIR: /etc/rag/sources
{{- if .Values.dagster.code.erasureClaim }}
RAG_ERASURE_FOLDER: /var/lib/erasures
{{- end }}
{{- if .Values.sources.golden }}
RAG_GOLDEN_DIR: /etc/rag/golden
{{- end }}
{{- if .Values.sources.questions }}
RAG_QUESTIONS_DIR: /etc/rag/questions
{{- end }}
RAG_DAGSTER_YAML: /etc/rag/dagster/dagster.yaml
RAG_QDRANT_URL: {{ include "rag.qdrantUrl" . | quote }}
RAG_QDRANT_PREFIX: {{ .Values.settings.qdrant_prefix | default (printf "%s-%s" .Release.Namespace .Release.Name | trunc 31 | trimSuffix "-") | quote }}
{{- $files := dict "ca.crt" "CA" "tls.crt" "CERT" "tls.key" "KEY" }}
{{- range ternary .Values.secrets.qdrantTlsFiles list (ne .Values.secrets.qdrantTlsSecret "") }}
RAG_QDRANT_{{ get $files . }}_FILE: /etc/rag/qdrant/{{ . }}
{{- end }}
{{- if .Values.valkey.enabled }}
RAG_REDIS_URL: redis://{{ include "rag.name" (list . "valkey") }}:6379/0
{{- end }}
RAG_CODE_LOCATION_HOST: {{ include "rag.name" (list . "dagster-code") }}
RAG_OWN_HOSTS: {{ join "," (compact (list (include "rag.services" .) .Values.settings.own_hosts)) | quote }}
{{- with .Values.tracing.endpoint }}
OTEL_EXPORTER_OTLP_ENDPOINT: {{ . | quote }}
OTEL_TRACES_SAMPLER: parentbased_traceidratio
OTEL_TRACES_SAMPLER_ARG: {{ $.Values.tracing.share | quote }}
{{- end }}
{{- range $name, $value := omit .Values.settings "qdrant_url" "qdrant_prefix" "allowed_hosts" "own_hosts" }}
RAG_{{ upper $name }}: {{ include "rag.plain" $value | quote }}
{{- end }}
{{- end -}}

{{- /* The names of the release's Services, each once. */ -}}
{{- define "rag.services" -}}
{{- $root := . -}}{{- $names := list -}}
{{- range list "gateway" "gateway-internal" "gateway-status" "query" "query-blue" "query-green" "query-active" "query-preview" "interfaces" "console" "dagster-webserver" "dagster-code" "stream" "rate-limits" "valkey" "qdrant" "postgresql" "postgres-exporter" -}}
{{- $names = append $names (include "rag.name" (list $root .)) -}}
{{- end -}}
{{- join "," $names -}}
{{- end -}}

{{- /* The names by which programs call pages over HTTP: of each Service in all its forms, and those that the values add. */ -}}
{{- define "rag.allowedHosts" -}}
{{- $root := . -}}{{- $names := list -}}
{{- range splitList "," (include "rag.services" .) -}}
{{- $inside := printf "%s.%s" . $root.Release.Namespace -}}
{{- $names = concat $names (list . $inside (printf "%s.svc" $inside) (printf "%s.svc.cluster.local" $inside)) -}}
{{- end -}}
{{ concat $names (.Values.settings.allowed_hosts | default list) | join "," }}
{{- end -}}

{{- define "rag.qdrantUrl" -}}
{{- if .Values.qdrant.enabled -}}
http://{{ include "rag.name" (list . "qdrant") }}:6334
{{- else -}}
{{ required "settings.qdrant_url is required unless qdrant.enabled" .Values.settings.qdrant_url }}
{{- end -}}
{{- end -}}

{{- /* list ROOT SECRET */ -}}
{{- define "rag.envFrom" -}}
envFrom:
  - configMapRef:
      name: {{ include "rag.name" (list (index . 0) "settings") }}
env:
  {{- include "rag.env" . | nindent 2 }}
{{- end -}}

{{- /* What Envoy's configuration is made from. Behind an ingress the caller's address is what the ingress says. */ -}}
{{- define "rag.gatewayEnv" -}}
{{- $hops := ternary 0 1 (eq .Values.ingress.kind "none") -}}
{{- $own := dict "RAG_GATEWAY_TRUSTED_HOPS" (include "rag.setting" (list . "gateway_trusted_hops" $hops)) -}}
{{- range $name := list "blue" "green" }}
{{- $_ := set $own (printf "RAG_GATEWAY_%s" (upper $name)) (printf "%s:50051" (include "rag.name" (list $ (printf "query-%s" $name)))) }}
{{- end }}
{{- $_ := set $own "RAG_GATEWAY_INTERFACES" (printf "%s:8090" (include "rag.name" (list $ "interfaces"))) }}
{{- if .Values.rateLimits.enabled }}
{{- $_ := set $own "RAG_GATEWAY_RATE_LIMITS" (printf "%s:50053" (include "rag.name" (list $ "rate-limits"))) }}
{{- end }}
{{- include "rag.settingsEnv" (mergeOverwrite (include "rag.settings" . | fromYaml) $own) }}
{{- end -}}

{{- define "rag.settingsEnv" -}}
{{- range $name, $value := . }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end -}}

{{- /* The volume source of the public keys; nothing when they come from an address. */ -}}
{{- define "rag.jwksSource" -}}
{{- if .Values.auth.existingSecret -}}
secret:
  secretName: {{ .Values.auth.existingSecret }}
  items: [{key: jwks.json, path: jwks.json}]
{{- else if or .Values.auth.jwks .Values.auth.existingConfigMap -}}
configMap:
  name: {{ .Values.auth.existingConfigMap | default (include "rag.name" (list . "jwks")) }}
{{- end -}}
{{- end -}}

{{- define "rag.jwksVolume" -}}
{{- with include "rag.jwksSource" . -}}
- name: jwks
  {{- . | nindent 2 }}
{{- end -}}
{{- end -}}

{{- define "rag.jwksMount" -}}
{{- if include "rag.jwksSource" . -}}
- name: jwks
  mountPath: /etc/rag/jwks
  readOnly: true
{{- end -}}
{{- end -}}

{{- /* Certificates for Qdrant, in every pod that reads or writes the index. */ -}}
{{- define "rag.qdrantTlsVolume" -}}
{{- with .Values.secrets.qdrantTlsSecret -}}
- name: qdrant-tls
  secret:
    secretName: {{ . }}
    items:
      {{- range $.Values.secrets.qdrantTlsFiles }}
      - key: {{ . }}
        path: {{ . }}
      {{- end }}
{{- end -}}
{{- end -}}

{{- define "rag.qdrantTlsMount" -}}
{{- if .Values.secrets.qdrantTlsSecret -}}
- name: qdrant-tls
  mountPath: /etc/rag/qdrant
  readOnly: true
{{- end -}}
{{- end -}}

{{- define "rag.scratch" -}}
- name: tmp
  emptyDir:
    sizeLimit: 1Gi
{{- with .Values.pods.volumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "rag.scratchMount" -}}
- name: tmp
  mountPath: /tmp
{{- with .Values.pods.volumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* What Dagster's processes and runs read: sources, documents, the instance. */ -}}
{{- define "rag.dagsterVolumes" -}}
{{ include "rag.scratch" . }}
{{ include "rag.qdrantTlsVolume" . }}
- name: sources
  configMap:
    name: {{ include "rag.name" (list . "sources") }}
- name: dagster
  configMap:
    name: {{ include "rag.name" (list . "dagster") }}
{{- range .Values.sources.claims }}
- name: documents-{{ .name }}
  persistentVolumeClaim:
    claimName: {{ .claimName }}
    readOnly: true
{{- end }}
{{- include "rag.goldenVolumes" . }}
{{- include "rag.questionsVolumes" . }}
{{- end -}}

{{- /* A folder per tenant; the name of a tenant need not be one of an object. */ -}}
{{- define "rag.questionsVolumes" -}}
{{- range $at, $own := .Values.sources.questions }}
- name: questions-{{ $at }}
  configMap:
    name: {{ $own.configMap | default (include "rag.name" (list $ (printf "questions-%d" $at))) }}
{{- end }}
{{- end -}}

{{- define "rag.questionsMounts" -}}
{{- range $at, $own := .Values.sources.questions }}
- name: questions-{{ $at }}
  mountPath: /etc/rag/questions/{{ $own.tenant }}
  readOnly: true
{{- end }}
{{- end -}}

{{- define "rag.goldenVolumes" -}}
{{- range .Values.sources.golden }}
- name: golden-{{ .name }}
  configMap:
    name: {{ .configMap }}
{{- end }}
{{- end -}}

{{- define "rag.goldenMounts" -}}
{{- range .Values.sources.golden }}
- name: golden-{{ .name }}
  mountPath: /etc/rag/golden/{{ .name }}
  readOnly: true
{{- end }}
{{- end -}}

{{- define "rag.dagsterMounts" -}}
{{ include "rag.scratchMount" . }}
{{ include "rag.qdrantTlsMount" . }}
- name: sources
  mountPath: /etc/rag/sources
  readOnly: true
- name: dagster
  mountPath: /etc/rag/dagster
  readOnly: true
{{- range .Values.sources.claims }}
- name: documents-{{ .name }}
  mountPath: {{ .mountPath }}
  readOnly: true
{{- end }}
{{- include "rag.goldenMounts" . }}
{{- include "rag.questionsMounts" . }}
{{- end -}}

{{- /* A token for the Kubernetes API that expires, only for the pods that start and stop runs. */ -}}
{{- define "rag.apiVolume" -}}
- name: kubernetes
  projected:
    sources:
      - serviceAccountToken:
          path: token
          expirationSeconds: 3600
      - configMap:
          name: kube-root-ca.crt
          items:
            - key: ca.crt
              path: ca.crt
      - downwardAPI:
          items:
            - path: namespace
              fieldRef:
                fieldPath: metadata.namespace
{{- end -}}

{{- define "rag.apiMount" -}}
- name: kubernetes
  mountPath: /var/run/secrets/kubernetes.io/serviceaccount
  readOnly: true
{{- end -}}

{{- /* list ROOT ROLE */ -}}
{{- define "rag.command" -}}
command: [python, -P, -m, ragctl.container, {{ . }}]
{{- end -}}

{{- /* One pod per node and zone where there are enough of them: list ROOT COMPONENT */ -}}
{{- define "rag.spread" -}}
topologySpreadConstraints:
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "rag.selector" $ | nindent 8 }}
  {{- end }}
{{- end -}}
