{{/* SPDX-License-Identifier: BSD-3-Clause */}}
{{- define "butler.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- define "butler.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end -}}

{{/* What pods of services have in common. Takes (root, component, health service). */}}
{{- define "butler.probes" -}}
ports:
  - { name: grpc, containerPort: {{ index . 1 }} }
  - { name: health, containerPort: 50060 }
  - { name: metrics, containerPort: 9464 }
# The event loop, never the database: a restart does not mend that.
livenessProbe:
  grpc: { port: 50060 }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
# The database and the schema version; see butler_api/readiness.py.
readinessProbe:
  grpc: { port: 50060, service: {{ index . 2 }} }
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 2
startupProbe:
  grpc: { port: 50060 }
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 60
lifecycle:
  preStop: { sleep: { seconds: {{ int (index . 0).Values.shutdown.preStopSeconds }} } }
{{- end -}}

{{- define "butler.tracingEnv" -}}
{{- with .Values.tracing }}
{{- if .endpoint }}
- { name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ .endpoint | quote }} }
- { name: OTEL_TRACES_SAMPLER, value: {{ .sampler | quote }} }
- { name: OTEL_TRACES_SAMPLER_ARG, value: {{ .samplerArgument | quote }} }
{{- end }}
{{- end }}
{{- end -}}

{{- define "butler.grace" -}}
{{- with .Values.shutdown -}}{{ add (int .preStopSeconds) (int .drainSeconds) (int .graceSeconds) 10 }}{{- end -}}
{{- end -}}

{{- define "butler.sharedVolumes" -}}
- { name: tmp, emptyDir: { sizeLimit: 256Mi } }
- { name: signing-keys, secret: { secretName: {{ .Values.signingKeysSecret }}, defaultMode: 0440 } }
{{- if .Values.tls.enabled }}
- { name: tls, secret: { secretName: {{ include "butler.tlsSecret" . }}, defaultMode: 0440 } }
{{- if .Values.tls.clientCaSecret }}
- { name: client-ca, secret: { secretName: {{ .Values.tls.clientCaSecret }}, defaultMode: 0440 } }
{{- end }}
{{- end }}
{{- end -}}

{{- define "butler.sharedMounts" -}}
- { name: tmp, mountPath: /tmp }
- { name: config, mountPath: /etc/butler, readOnly: true }
- { name: signing-keys, mountPath: /run/butler/keys, readOnly: true }
{{- if .Values.tls.enabled }}
- { name: tls, mountPath: /run/butler/tls, readOnly: true }
{{- if .Values.tls.clientCaSecret }}
- { name: client-ca, mountPath: /run/butler/client-ca, readOnly: true }
{{- end }}
{{- end }}
{{- end -}}

{{/* Takes (root, component). */}}
{{- define "butler.spread" -}}
{{- $selector := include "butler.selector" . }}
{{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
- maxSkew: 1
  topologyKey: {{ . }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- $selector | nindent 6 }}
{{- end }}
{{- end -}}

{{/* The volumes, mounts and environment of pods that have the stores. */}}
{{- define "butler.storeVolumes" -}}
{{- if .Values.datastore.files.enabled }}
- { name: artifacts, persistentVolumeClaim: { claimName: {{ .Values.datastore.files.existingClaim | default (printf "%s-artifacts" (include "butler.name" .)) }} } }
{{- end }}
{{- if .Values.datastore.s3CaSecret }}
- { name: s3-ca, secret: { secretName: {{ .Values.datastore.s3CaSecret }}, defaultMode: 0440 } }
{{- end }}
{{- end -}}

{{- define "butler.storeMounts" -}}
{{- if .Values.datastore.files.enabled }}
- { name: artifacts, mountPath: /var/lib/butler/artifacts }
{{- end }}
{{- if .Values.datastore.s3CaSecret }}
- { name: s3-ca, mountPath: /run/butler/s3-ca, readOnly: true }
{{- end }}
{{- end -}}

{{- define "butler.storeEnv" -}}
{{- if .Values.datastore.s3CredentialsSecret }}
{{- range list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" }}
- name: {{ . }}
  valueFrom: { secretKeyRef: { name: {{ $.Values.datastore.s3CredentialsSecret }}, key: {{ . }} } }
{{- end }}
{{- end }}
{{- if .Values.datastore.s3CaSecret }}
- { name: AWS_CA_BUNDLE, value: /run/butler/s3-ca/ca.crt }
{{- end }}
{{- end -}}
