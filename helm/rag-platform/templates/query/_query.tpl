{{- /* The Deployment of a colour that the deployer has yet to name. Without what changes at every version of the chart:
a change of this text is a new release, which is judged beside the one that serves. */ -}}
{{- define "rag.queryDeployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "rag.name" (list . "query-@@colour@@") }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "rag.queryLabels" (list . "query-@@colour@@") | nindent 4 }}
spec:
  # No `replicas`: the autoscaler owns the number.
  revisionHistoryLimit: 5
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxUnavailable: 0
      maxSurge: 1
  {{- include "rag.queryPods" (list . "query-@@colour@@") | nindent 2 }}
{{- end -}}

{{- /* Selector and template: list ROOT COMPONENT */ -}}
{{- define "rag.queryPods" -}}
{{- $component := index . 1 -}}
{{- with index . 0 -}}
selector:
  matchLabels:
    {{- include "rag.selector" (list . $component) | nindent 4 }}
template:
  metadata:
    labels:
      {{- include "rag.queryLabels" (list . $component) | nindent 6 }}
    {{- with .Values.pods.annotations }}
    annotations:
      {{- toYaml . | nindent 6 }}
    {{- end }}
  spec:
    {{- include "rag.podSecurity" (list . "query" 10001) | nindent 4 }}
    {{- include "rag.spread" (list . $component) | nindent 4 }}
    # NOT_SERVING first, then calls in flight finish: drain_seconds + grace_seconds, and a little.
    terminationGracePeriodSeconds: {{ include "rag.querySeconds" . }}
    containers:
      - name: query
        image: {{ include "rag.image" (list . "query") }}
        imagePullPolicy: {{ .Values.images.pullPolicy }}
        {{- include "rag.command" "query-server" | nindent 8 }}
        # Settings as values, not by reference: a pod that restarts keeps those that its release was judged with.
        env:
          {{- include "rag.settingsEnv" (include "rag.settings" . | fromYaml) | nindent 10 }}
          {{- include "rag.env" (list . (.Values.secrets.querySecret | default .Values.secrets.existingSecret)) | nindent 10 }}
        {{- include "rag.containerSecurity" . | nindent 8 }}
        ports:
          - name: grpc
            containerPort: 50051
          - name: metrics
            containerPort: 9464
        startupProbe:
          httpGet:
            path: /health
            port: metrics
          periodSeconds: 1
          failureThreshold: 120
        livenessProbe:
          httpGet:
            path: /health
            port: metrics
          periodSeconds: 10
          timeoutSeconds: 5
        readinessProbe:
          httpGet:
            path: /ready
            port: metrics
          periodSeconds: 2
          timeoutSeconds: 3
        resources:
          {{- include "rag.resources" .Values.query.resources | nindent 10 }}
        volumeMounts:
          {{- include "rag.scratchMount" . | nindent 10 }}
          {{- include "rag.jwksMount" . | nindent 10 }}
          {{- include "rag.qdrantTlsMount" . | nindent 10 }}
    volumes:
      {{- include "rag.scratch" . | nindent 6 }}
      {{- include "rag.jwksVolume" . | nindent 6 }}
      {{- include "rag.qdrantTlsVolume" . | nindent 6 }}
{{- end -}}
{{- end -}}

{{- define "rag.queryLabels" -}}
{{ include "rag.selector" . }}
app.kubernetes.io/part-of: rag-platform
{{ include "rag.role" (list (index . 0) "query") }}
{{- with trimPrefix "query" (index . 1) }}
rag-platform/colour: {{ trimPrefix "-" . | quote }}
{{- end }}
{{- include "rag.podLabels" (index . 0) }}
{{- end -}}

{{- define "rag.querySeconds" -}}
{{ addf (include "rag.setting" (list . "drain_seconds" 3.0) | float64) (include "rag.setting" (list . "grace_seconds" 15.0) | float64) 10.0 | ceil }}
{{- end -}}

{{- /* How the release of the query servers is called: by its tag, or by its image. */ -}}
{{- define "rag.release" -}}
{{ .Values.rollout.release | default (trimPrefix "sha256:" .Values.images.query | trunc 12) }}
{{- end -}}
