{{/* SPDX-License-Identifier: BSD-3-Clause */}}
{{/* The TOML file of a service. Takes (root, component, port). */}}
{{- define "butler.sharedSettings" -}}
{{- $root := index . 0 -}}
{{- $own := index $root.Values (index . 1) -}}
address = "{{ $root.Values.listenHost }}:{{ index . 2 }}"
signing_keys = "/run/butler/keys/signing-keys"
workers = {{ int $own.workers }}
processes = {{ int $own.processes }}
log_format = "json"
health_address = "{{ $root.Values.listenHost }}:50060"
metrics_host = {{ $root.Values.listenHost | trimPrefix "[" | trimSuffix "]" | quote }}
metrics_port = 9464
drain_seconds = {{ int $root.Values.shutdown.drainSeconds }}
grace_seconds = {{ int $root.Values.shutdown.graceSeconds }}
connection_age_seconds = {{ int $root.Values.connectionAgeSeconds }}
connection_age_grace_seconds = {{ int $root.Values.connectionAgeGraceSeconds }}
{{- if not $root.Values.tls.enabled }}
allow_plaintext = true
{{- end }}
{{- end -}}

{{- define "butler.securityTables" -}}
{{- if .Values.tls.enabled }}
[tls]
certificate = "/run/butler/tls/tls.crt"
key = "/run/butler/tls/tls.key"
{{- if .Values.tls.clientCaSecret }}
client_ca = "/run/butler/client-ca/ca.crt"
{{- end }}
{{- end }}
{{- with .Values.authentication }}
{{ toToml (dict "authentication" .) | trim }}
{{- end }}
{{- end -}}

{{- define "butler.registryToml" -}}
{{ include "butler.sharedSettings" (list . "registry" 50051) }}
datastore_endpoint = {{ .Values.registry.datastoreEndpoint | default (printf "%s:50052" (include "butler.datastoreHost" .)) | quote }}
stores = {{ .Values.registry.stores | toJson }}
{{- if eq .Values.registry.database.kind "sqlite" }}
database = "sqlite:////var/lib/butler/registry"
{{- else if or .Values.registry.database.pooler (and .Values.cloudNativePg.enabled .Values.cloudNativePg.pooler.enabled) }}
database_pooler = true
{{- end }}
{{- with .Values.registry.settings }}
{{ toToml . | trim }}
{{- end }}
{{- include "butler.securityTables" . }}
{{- end -}}

{{- define "butler.datastoreToml" -}}
{{ include "butler.sharedSettings" (list . "datastore" 50052) }}
registry = "{{ if .Values.tls.enabled }}grpcs://{{ end }}{{ include "butler.registryHost" . }}:50051"
{{- with .Values.datastore.settings }}
{{ toToml . | trim }}
{{- end }}
{{ toToml (dict "stores" (.Values.datastore.stores | default (dict "main" (dict "kind" "posix" "root" "/var/lib/butler/artifacts/{repository}")))) | trim }}
{{- include "butler.securityTables" . }}
{{- if .Values.tls.enabled }}
[registry_tls]
ca = "/run/butler/tls/ca.crt"
certificate = "/run/butler/tls/tls.crt"
key = "/run/butler/tls/tls.key"
{{- end }}
{{- end -}}
