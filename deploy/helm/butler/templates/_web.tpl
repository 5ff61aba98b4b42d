{{/* SPDX-License-Identifier: BSD-3-Clause */}}
{{/* What web pages may call, by who answers. Not LedgerService, which is between the services, health and reflection. */}}
{{- define "butler.webServices" -}}
registry: [RepositoryService, DimensionService, CollectionService, AssociationService, DatasetTypeService, DatasetService, QueryService, RemovalService, TrashService, EventService, StatisticsService, TransactionService, AccessService]
datastore: [DatastoreService, HousekeepingService]
{{- end -}}

{{- define "butler.webHost" -}}{{ .Values.listenHost | trimPrefix "[" | trimSuffix "]" }}{{- end -}}

{{/* The configuration of Envoy: gRPC, gRPC-Web and JSON at one port, to both services. */}}
{{- define "butler.envoyYaml" -}}
# Needed to follow the files of certificates.
node: { id: web, cluster: butler }
admin: { address: { socket_address: { address: 127.0.0.1, port_value: 9901 } } }
overload_manager:
  resource_monitors:
    - name: envoy.resource_monitors.global_downstream_max_connections
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig
        max_active_downstream_connections: 5000
static_resources:
  listeners:
    - name: web
      address: { socket_address: { address: "{{ include "butler.webHost" . }}", port_value: 8080 } }
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                {{- include "butler.webManager" . | nindent 16 }}
          {{- if .Values.tls.enabled }}
          transport_socket:
            name: envoy.transport_sockets.tls
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
              common_tls_context:
                alpn_protocols: [h2, http/1.1]
                {{- include "butler.webCertificate" . | nindent 16 }}
          {{- end }}
    # Of the admin interface, which only the pod reaches, one page each for probes and for Prometheus.
    {{- range $name, $page := dict "health" (list 50060 "/ready" "/ready") "metrics" (list 9464 "/metrics" "/stats/prometheus") }}
    - name: {{ $name }}
      address: { socket_address: { address: "{{ include "butler.webHost" $ }}", port_value: {{ index $page 0 }} } }
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: {{ $name }}
                route_config:
                  virtual_hosts:
                    - name: {{ $name }}
                      domains: ["*"]
                      routes:
                        - match: { path: {{ index $page 1 }}, headers: [{ name: ":method", string_match: { exact: GET } }] }
                          route: { cluster: admin, prefix_rewrite: {{ index $page 2 }} }
                http_filters:
                  - name: envoy.filters.http.router
                    typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
    {{- end }}
  clusters:
    - name: admin
      load_assignment:
        cluster_name: admin
        endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: 9901 } } } }] }]
    {{- include "butler.webCluster" (list . "registry" 50051 "butler_api.v1.RepositoryService") | nindent 4 }}
    {{- include "butler.webCluster" (list . "datastore" 50052 "butler_api.v1.DatastoreService") | nindent 4 }}
{{- end -}}

{{- define "butler.webManager" -}}
"@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
stat_prefix: web
# Nobody is believed who says that a request came from inside, or from another address.
use_remote_address: true
internal_address_config: {}
normalize_path: true
merge_slashes: true
path_with_escaped_slashes_action: REJECT_REQUEST
common_http_protocol_options: { idle_timeout: 300s, max_connection_duration: {{ int .Values.connectionAgeSeconds }}s }
http2_protocol_options: { max_concurrent_streams: 100, initial_stream_window_size: 1048576, initial_connection_window_size: 4194304 }
request_headers_timeout: 10s
# Streams last long: downloads, events, transactions. The services end those that stand still.
stream_idle_timeout: {{ int .Values.connectionAgeGraceSeconds }}s
route_config:
  virtual_hosts:
    - name: web
      domains: ["*"]
      # To another replica; every mutation carries the id by which a repeat is known.
      retry_policy:
        retry_on: connect-failure,refused-stream,reset-before-request,unavailable,cancelled
        num_retries: 3
        retry_host_predicate:
          - name: envoy.retry_host_predicates.previous_hosts
            typed_config: { "@type": type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate }
        host_selection_retry_max_attempts: 3
      {{- if .Values.tls.clientCaSecret }}
      # The services take who shows no token for whoever shows the certificate, and that is Envoy.
      request_headers_to_add:
        - { header: { key: authorization, value: none }, append_action: ADD_IF_ABSENT }
      {{- end }}
      {{- with .Values.web.allowedOrigins }}
      typed_per_filter_config:
        envoy.filters.http.cors:
          "@type": type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy
          allow_origin_string_match:
            {{- range . }}
            - exact: {{ . | quote }}
            {{- end }}
          allow_methods: POST
          allow_headers: authorization,content-type,grpc-timeout,x-grpc-web,x-user-agent
          expose_headers: grpc-message,grpc-status,grpc-status-details-bin
          max_age: "7200"
          forward_not_matching_preflights: false
      {{- end }}
      routes:
        {{- include "butler.webRoutes" . | trim | nindent 8 }}
http_filters:
  - name: envoy.filters.http.cors
    typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors }
  - name: envoy.filters.http.grpc_web
    typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.grpc_web.v3.GrpcWeb }
  # JSON is held as a whole before it is passed on, and so is an answer that is no stream. A message has 16 MiB at most, a
  # third more as base64; in an answer a value of one byte may be a word. The transcoder does not count what it has parsed.
  - name: envoy.filters.http.buffer
    typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer, max_request_bytes: 25165824 }
  - name: envoy.filters.http.grpc_json_transcoder
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder
      proto_descriptor: /etc/butler/web.binpb
      services:
        {{- range $names := include "butler.webServices" . | fromYaml }}
        {{- range $names }}
        - butler_api.v1.{{ . }}
        {{- end }}
        {{- end }}
      auto_mapping: true
      match_incoming_request_route: true
      convert_grpc_status: true
      request_validation_options: { reject_unknown_method: true, reject_unknown_query_parameters: true }
      print_options: { preserve_proto_field_names: true, stream_newline_delimited: true }
      max_request_body_size: 25165824
      max_response_body_size: 67108864
  - name: envoy.filters.http.router
    typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
{{- end -}}

{{/* The first that matches counts. */}}
{{- define "butler.webRoutes" -}}
{{- $post := `{ name: ":method", string_match: { exact: POST } }` -}}
{{- if .Values.web.allowedOrigins }}
# Whether a page may call is answered by Envoy itself, but only where there is a cluster.
- match: { prefix: /butler_api.v1., headers: [{ name: ":method", string_match: { exact: OPTIONS } }, { name: origin, present_match: true }, { name: access-control-request-method, present_match: true }] }
  route: { cluster: registry }
{{- end }}
# Clients that send a stream: gRPC only, and sent again only if nobody has seen it, since not all of it may be kept.
{{- range $path, $cluster := dict "DatastoreService/Write" "datastore" "TransactionService/Transact" "registry" }}
- match: { path: /butler_api.v1.{{ $path }}, grpc: {}, headers: [{{ $post }}] }
  route: { cluster: {{ $cluster }}, timeout: 0s, retry_policy: { retry_on: "connect-failure,refused-stream" } }
  typed_per_filter_config:
    envoy.filters.http.buffer: { "@type": type.googleapis.com/envoy.config.route.v3.FilterConfig, disabled: true }
- match: { path: /butler_api.v1.{{ $path }}, headers: [{{ $post }}] }
  direct_response: { status: 415, body: { inline_string: "The client sends a stream here, which needs gRPC." } }
  typed_per_filter_config:
    envoy.filters.http.grpc_web: { "@type": type.googleapis.com/envoy.config.route.v3.FilterConfig, disabled: true }
    envoy.filters.http.buffer: { "@type": type.googleapis.com/envoy.config.route.v3.FilterConfig, disabled: true }
    envoy.filters.http.grpc_json_transcoder: { "@type": type.googleapis.com/envoy.config.route.v3.FilterConfig, disabled: true }
{{- end }}
{{- range $cluster, $names := include "butler.webServices" . | fromYaml }}
{{- range $names }}
- match: { prefix: /butler_api.v1.{{ . }}/, headers: [{{ $post }}] }
  route: { cluster: {{ $cluster }}, timeout: 0s }
{{- end }}
{{- end }}
- match: { prefix: / }
  direct_response: { status: 404 }
{{- end -}}

{{/* Takes (root, component, port, health service). The name is that of a headless Service, so it stands for all replicas. */}}
{{- define "butler.webCluster" -}}
{{- $root := index . 0 -}}
{{- $host := include (printf "butler.%sHost" (index . 1)) $root -}}
- name: {{ index . 1 }}
  cluster_type:
    name: envoy.cluster.dns
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.clusters.dns.v3.DnsCluster
      dns_lookup_family: {{ ternary "ALL" "V4_ONLY" (eq $root.Values.listenHost "[::]") }}
      dns_refresh_rate: 5s
      respect_dns_ttl: true
  connect_timeout: 5s
  load_assignment:
    cluster_name: {{ index . 1 }}
    endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: {{ $host }}, port_value: {{ index . 2 }} } } } }] }]
  health_checks:
    - { timeout: 5s, interval: 5s, unhealthy_threshold: 2, healthy_threshold: 1, grpc_health_check: { service_name: {{ index . 3 }} } }
  typed_extension_protocol_options:
    envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
      "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
      explicit_http_config:
        http2_protocol_options:
          initial_stream_window_size: 1048576
          initial_connection_window_size: 16777216
          connection_keepalive: { interval: 30s, timeout: 10s }
  {{- if $root.Values.tls.enabled }}
  transport_socket:
    name: envoy.transport_sockets.tls
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
      sni: {{ $host }}
      common_tls_context:
        alpn_protocols: [h2]
        {{- if $root.Values.tls.clientCaSecret }}
        {{- include "butler.webCertificate" $root | nindent 8 }}
        {{- end }}
        combined_validation_context:
          default_validation_context:
            match_typed_subject_alt_names: [{ san_type: DNS, matcher: { exact: {{ $host }} } }]
          validation_context_sds_secret_config:
            name: authority
            sds_config: { path_config_source: { path: /etc/butler/authority.yaml } }
  {{- end }}
{{- end -}}

{{/* By files that Envoy looks at again when the certificate is renewed. */}}
{{- define "butler.webCertificate" -}}
tls_certificate_sds_secret_configs:
  - name: certificate
    sds_config: { path_config_source: { path: /etc/butler/certificate.yaml } }
{{- end -}}
