// SPDX-License-Identifier: BSD-3-Clause

// Package butler is a small client of Butler over gRPC, made of generated stubs.
package butler

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"butler.example/client/build/api"
)

// callTime is how long one call may take that is no stream.
const callTime = time.Minute

// Repeats are harmless: each mutation carries a request_id, or ids that the client made.
const serviceConfig = `{"methodConfig": [{"name": [{}], "retryPolicy": {"maxAttempts": 5, "initialBackoff": "0.1s",
	"maxBackoff": "5s", "backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE"]}}]}`

// largestMessage is longer than most libraries receive unless told; a full batch is longer, too.
const largestMessage = 16 << 20

// Options say whom to believe and who calls.
type Options struct {
	// CAFile holds the authorities to believe; those of the system if it is empty.
	CAFile string
	// TokenFile holds a bearer token; none is sent if it is empty.
	TokenFile string
	// TokenHosts may be sent the token, and nobody else: a registry could name any datastore service.
	TokenHosts []string
}

// OptionsFromEnvironment reads the variables that the Python client reads.
func OptionsFromEnvironment() Options {
	return Options{
		CAFile:     os.Getenv("BUTLER_TLS_CA"),
		TokenFile:  os.Getenv("BUTLER_TOKEN_FILE"),
		TokenHosts: strings.Split(os.Getenv("BUTLER_TOKEN_HOSTS"), ","),
	}
}

// Client is connected to one repository.
type Client struct {
	repository string
	limits     *api.Limits
	channels   []*grpc.ClientConn
	datasets   api.DatasetServiceClient
	queries    api.QueryServiceClient
	removals   api.RemovalServiceClient
	events     api.EventServiceClient
	datastore  api.DatastoreServiceClient
}

// Connect opens the repository of an address "grpc://host:port/repository", or grpcs:// for TLS.
func Connect(ctx context.Context, address string, options Options) (*Client, error) {
	scheme, rest, _ := strings.Cut(address, "://")
	target, repository, named := strings.Cut(rest, "/")
	if !named || (scheme != "grpc" && scheme != "grpcs") {
		return nil, fmt.Errorf("%q is not grpc://host:port/repository, nor grpcs://host:port/repository", address)
	}
	registry, err := dial(target, scheme == "grpcs", options)
	if err != nil {
		return nil, err
	}
	client := &Client{repository: repository, channels: []*grpc.ClientConn{registry}}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	request := &api.GetRepositoryRequest{Repository: repository}
	found, err := api.NewRepositoryServiceClient(registry).GetRepository(ctx, request)
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	// A datastore service on the host of the registry service is named by its port alone. It is spoken to as the
	// registry is, whatever the registry says.
	endpoint := found.DatastoreEndpoint
	if strings.HasPrefix(endpoint, ":") {
		host, _, err := net.SplitHostPort(target)
		if err != nil {
			return nil, errors.Join(err, client.Close())
		}
		endpoint = net.JoinHostPort(host, endpoint[1:])
	}
	datastore, err := dial(endpoint, scheme == "grpcs", options)
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	client.channels = append(client.channels, datastore)
	client.limits = found.Limits
	client.datasets = api.NewDatasetServiceClient(registry)
	client.queries = api.NewQueryServiceClient(registry)
	client.removals = api.NewRemovalServiceClient(registry)
	client.events = api.NewEventServiceClient(registry)
	client.datastore = api.NewDatastoreServiceClient(datastore)
	return client, nil
}

// Close closes the channels.
func (c *Client) Close() error {
	var failures []error
	for _, channel := range c.channels {
		failures = append(failures, channel.Close())
	}
	return errors.Join(failures...)
}

func dial(target string, encrypted bool, options Options) (*grpc.ClientConn, error) {
	dialing := []grpc.DialOption{
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(largestMessage), grpc.MaxCallSendMsgSize(largestMessage),
		),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
	}
	if encrypted {
		configuration := &tls.Config{MinVersion: tls.VersionTLS12}
		if options.CAFile != "" {
			authorities, err := os.ReadFile(options.CAFile)
			if err != nil {
				return nil, err
			}
			configuration.RootCAs = x509.NewCertPool()
			if !configuration.RootCAs.AppendCertsFromPEM(authorities) {
				return nil, fmt.Errorf("%s holds no certificate", options.CAFile)
			}
		}
		dialing = append(dialing, grpc.WithTransportCredentials(credentials.NewTLS(configuration)))
	}
	host, _, err := net.SplitHostPort(target)
	if err != nil {
		return nil, err
	}
	if options.TokenFile != "" && slices.Contains(options.TokenHosts, host) {
		dialing = append(dialing, grpc.WithPerRPCCredentials(tokenFile(options.TokenFile)))
	}
	return grpc.NewClient(target, dialing...)
}

// tokenFile is where a token is. It is read for each call, since tokens are renewed.
type tokenFile string

func (f tokenFile) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	token, err := os.ReadFile(string(f))
	if err != nil {
		return nil, err
	}
	return map[string]string{"authorization": "Bearer " + strings.TrimSpace(string(token))}, nil
}

// RequireTransportSecurity makes the library refuse to send a token unencrypted.
func (tokenFile) RequireTransportSecurity() bool { return true }
