{{/* SPDX-License-Identifier: BSD-3-Clause */}}
{{- define "butler.name" -}}
{{- default .Release.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Labels by which objects are chosen; they never change. Takes (root, component). */}}
{{- define "butler.selector" -}}
app.kubernetes.io/name: butler
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "butler.labels" -}}
{{ include "butler.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/part-of: butler
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
{{- with (index . 0).Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Takes (root, image). A digest wins over a tag. */}}
{{- define "butler.image" -}}
{{- $image := index . 1 -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag | default (index . 0).Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "butler.scheme" -}}{{ if .Values.tls.enabled }}grpcs{{ else }}grpc{{ end }}{{- end -}}

{{- define "butler.registryHost" -}}{{ include "butler.name" . }}-registry.{{ .Release.Namespace }}.svc{{- end -}}
{{- define "butler.datastoreHost" -}}{{ include "butler.name" . }}-datastore.{{ .Release.Namespace }}.svc{{- end -}}

{{- define "butler.tlsSecret" -}}
{{- if .Values.tls.certManager.enabled -}}{{ include "butler.name" . }}-tls{{- else -}}{{ .Values.tls.existingSecret }}{{- end -}}
{{- end -}}

{{/* Where the database is: in a Secret of the operator's user, or in one that somebody made. */}}
{{- define "butler.databaseEnv" -}}
{{- $name := include "butler.name" . -}}
{{- if .Values.cloudNativePg.enabled -}}
{{- range $variable, $key := dict "DATABASE_USER" "username" "DATABASE_PASSWORD" "password" }}
- name: {{ $variable }}
  valueFrom: { secretKeyRef: { name: {{ $name }}-database-app, key: {{ $key }} } }
{{- end }}
- name: BUTLER_REGISTRY_DATABASE
  value: postgresql+psycopg://$(DATABASE_USER):$(DATABASE_PASSWORD)@{{ $name }}-{{ ternary "pooler" "database-rw" .Values.cloudNativePg.pooler.enabled }}:5432/butler
{{- else -}}
- name: BUTLER_REGISTRY_DATABASE
  valueFrom: { secretKeyRef: { name: {{ .Values.registry.database.existingSecret }}, key: {{ .Values.registry.database.key }} } }
{{- end -}}
{{- end -}}
