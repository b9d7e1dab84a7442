{{- /* What the schema cannot say: values that contradict each other, each with what to set. */ -}}
{{- define "rag.validations" -}}
{{- $keys := list .Values.auth.jwks .Values.auth.existingConfigMap .Values.auth.existingSecret .Values.settings.jwt_jwks_url | compact }}
{{- if ne (len $keys) 1 }}
{{- fail "exactly one of auth.jwks, auth.existingConfigMap, auth.existingSecret and settings.jwt_jwks_url is required: the public keys that verify tokens" }}
{{- end }}
{{- if not .Values.qdrant.enabled }}
{{- $_ := required "settings.qdrant_url is required unless qdrant.enabled" .Values.settings.qdrant_url }}
{{- end }}
{{- if and .Values.networkPolicy.enabled (not .Values.networkPolicy.apiServer.cidrs) }}
{{- fail "networkPolicy.apiServer.cidrs is required: the Kubernetes API as pods reach it (kubectl get endpointslices -n default kubernetes), or set networkPolicy.enabled: false" }}
{{- end }}
{{- range $part := list "postgresql" "qdrant" }}
{{- if and $.Values.networkPolicy.enabled (not (index $.Values $part).enabled) (not (index $.Values.networkPolicy $part).cidrs) }}
{{- fail (printf "networkPolicy.%s.cidrs is required unless %s.enabled: where it is, or set networkPolicy.enabled: false" $part $part) }}
{{- end }}
{{- end }}
{{- if and .Values.rateLimits.enabled .Values.networkPolicy.enabled (not .Values.valkey.enabled) (not .Values.networkPolicy.redis.cidrs) }}
{{- fail "networkPolicy.redis.cidrs is required with rateLimits.enabled unless valkey.enabled: where Redis is, or set networkPolicy.enabled: false" }}
{{- end }}
{{- range list .Values.query.autoscaling .Values.gateway.autoscaling }}
{{- if gt (.minReplicas | int) (.maxReplicas | int) }}
{{- fail "autoscaling: minReplicas is above maxReplicas" }}
{{- end }}
{{- end }}
{{- $tenants := dict }}
{{- range .Values.sources.questions }}
{{- if hasKey $tenants .tenant }}
{{- fail (printf "sources.questions names the tenant %s twice: put its files into one entry" .tenant) }}
{{- end }}
{{- $_ := set $tenants .tenant true }}
{{- if eq (empty .files) (empty .configMap) }}
{{- fail (printf "sources.questions: the tenant %s needs files or configMap, one of them" .tenant) }}
{{- end }}
{{- range $name, $_ := .files }}
{{- if not (regexMatch "^[-._a-zA-Z0-9]+\\.(yaml|yml|jsonl)$" $name) }}
{{- fail (printf "sources.questions: %s is no name of a file of questions; it ends in .yaml or .jsonl" $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- if eq .Values.environment "production" }}
{{- $named := pick .Values.images "dagster" "query" "stream" "console" }}
{{- range list "gateway" "postgresql" "qdrant" "valkey" }}{{ $_ := set $named . ((index $.Values .).digest | default "sha256:") }}{{ end }}
{{- $_ := set $named "postgresExporter" (.Values.monitoring.postgresExporter.digest | default "sha256:") }}
{{- range $name, $digest := $named }}
{{- if not (hasPrefix "sha256:" $digest) }}
{{- fail (printf "%s: %s is a tag, which may name another image tomorrow; in environment: production give the digest" $name $digest) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and .Values.console.enabled (eq .Values.environment "production") (eq .Values.console.signIn "none") }}
{{- fail "console.signIn: none lets everybody who reaches the console act with its token: in environment: production set it to oidc, or switch the console off" }}
{{- end }}
{{- if and .Values.console.ingress.host (eq .Values.console.signIn "none") }}
{{- fail "console.ingress needs console.signIn: oidc; without sign-in whoever reaches the console acts with its token" }}
{{- end }}
{{- end -}}
