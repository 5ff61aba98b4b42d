// SPDX-License-Identifier: BSD-3-Clause

use std::env;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Response, Status};

use crate::Error;
use crate::api::dataset_service_client::DatasetServiceClient;
use crate::api::datastore_service_client::DatastoreServiceClient;
use crate::api::event_service_client::EventServiceClient;
use crate::api::query_service_client::QueryServiceClient;
use crate::api::removal_service_client::RemovalServiceClient;
use crate::api::repository_service_client::RepositoryServiceClient;
use crate::api::{GetRepositoryRequest, GetRepositoryResponse};

/// How long one call may take that is no stream.
const CALL_TIME: Duration = Duration::from_mins(1);

/// How often a call is made while the service cannot be reached.
const ATTEMPTS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Longer than most libraries receive unless told; a full batch is longer, too.
const LARGEST_MESSAGE: usize = 16 << 20;

/// Whom to believe, and who calls.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// File of the authorities to believe; those of the system if there is none.
    pub ca_file: Option<PathBuf>,
    /// File of a bearer token; none is sent if there is none.
    pub token_file: Option<PathBuf>,
    /// Hosts that may be sent the token, and nobody else: a registry could name any datastore service.
    pub token_hosts: Vec<String>,
}

impl Options {
    /// Reads the variables that the Python client reads.
    #[must_use]
    pub fn from_environment() -> Self {
        let file = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let hosts = env::var("BUTLER_TOKEN_HOSTS").unwrap_or_default();
        Self {
            ca_file: file("BUTLER_TLS_CA"),
            token_file: file("BUTLER_TOKEN_FILE"),
            token_hosts: hosts.split(',').map(str::to_owned).collect(),
        }
    }
}

/// A channel whose calls say who makes them.
pub(crate) type Connection = InterceptedService<Channel, Bearer>;

/// A connection to one repository; it closes when it is dropped.
pub struct Client {
    pub(crate) repository: String,
    pub(crate) chunk_bytes: usize,
    pub(crate) datasets: DatasetServiceClient<Connection>,
    pub(crate) queries: QueryServiceClient<Connection>,
    pub(crate) removals: RemovalServiceClient<Connection>,
    pub(crate) events: EventServiceClient<Connection>,
    pub(crate) datastore: DatastoreServiceClient<Connection>,
}

/// Makes a stub for messages of full length.
macro_rules! stub {
    ($kind:ident, $connection:expr) => {
        $kind::new($connection).max_decoding_message_size(LARGEST_MESSAGE).max_encoding_message_size(LARGEST_MESSAGE)
    };
}

impl Client {
    /// Opens the repository of an address `grpc://host:port/repository`, or `grpcs://` for TLS.
    pub async fn connect(address: &str, options: &Options) -> Result<Self, Error> {
        let unusable = || {
            let wanted = "grpc://host:port/repository, nor grpcs://host:port/repository";
            Error::Unusable(format!("{address:?} is not {wanted}"))
        };
        let (scheme, rest) = address.split_once("://").ok_or_else(unusable)?;
        let (target, repository) = rest.split_once('/').ok_or_else(unusable)?;
        let (host, _) = target.rsplit_once(':').ok_or_else(unusable)?;
        let encrypted = match scheme {
            "grpc" => false,
            "grpcs" => true,
            _ => return Err(unusable()),
        };
        let registry = dial(target, encrypted, options)?;
        let repositories = stub!(RepositoryServiceClient, registry.clone());
        let request = GetRepositoryRequest { repository: repository.to_owned() };
        let found: GetRepositoryResponse =
            call(request, async |request| repositories.clone().get_repository(request).await).await?;
        // A datastore service on the host of the registry service is named by its port alone. It is spoken to as the
        // registry is, whatever the registry says.
        let endpoint = match found.datastore_endpoint.strip_prefix(':') {
            Some(port) => format!("{host}:{port}"),
            None => found.datastore_endpoint,
        };
        let limits = found.limits.ok_or(Error::Incomplete("limits"))?;
        Ok(Self {
            repository: repository.to_owned(),
            chunk_bytes: usize::try_from(limits.chunk_bytes).map_err(|_| Error::Incomplete("usable limit of a chunk"))?,
            datasets: stub!(DatasetServiceClient, registry.clone()),
            queries: stub!(QueryServiceClient, registry.clone()),
            removals: stub!(RemovalServiceClient, registry.clone()),
            events: stub!(EventServiceClient, registry),
            datastore: stub!(DatastoreServiceClient, dial(&endpoint, encrypted, options)?),
        })
    }
}

/// Makes a channel, which connects when it is first used.
fn dial(target: &str, encrypted: bool, options: &Options) -> Result<Connection, Error> {
    let mut bearer = Bearer { token_file: None };
    if !encrypted {
        let channel = Endpoint::from_shared(format!("http://{target}"))?.connect_lazy();
        return Ok(InterceptedService::new(channel, bearer));
    }
    let trust = match &options.ca_file {
        Some(file) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(fs::read(file)?)),
        None => ClientTlsConfig::new().with_native_roots(),
    };
    let channel = Endpoint::from_shared(format!("https://{target}"))?.tls_config(trust)?.connect_lazy();
    let host = target.rsplit_once(':').map_or(target, |(host, _)| host);
    if options.token_hosts.iter().any(|named| named == host) {
        bearer.token_file.clone_from(&options.token_file);
    }
    Ok(InterceptedService::new(channel, bearer))
}

/// Adds a token to calls. It has one only for a channel with TLS to a host that may be sent it.
#[derive(Clone)]
pub(crate) struct Bearer {
    token_file: Option<PathBuf>,
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(file) = &self.token_file {
            // Read for each call, since tokens are renewed.
            let token =
                fs::read_to_string(file).map_err(|error| Status::unauthenticated(format!("{}: {error}", file.display())))?;
            let value: MetadataValue<Ascii> = format!("Bearer {}", token.trim())
                .parse()
                .map_err(|_| Status::unauthenticated(format!("{} holds no token", file.display())))?;
            request.metadata_mut().insert("authorization", value);
        }
        Ok(request)
    }
}

/// Makes a call with a deadline, again while the service cannot be reached. Repeats are harmless: each mutation carries a
/// `request_id`, or ids that the client made.
pub(crate) async fn call<Message: Clone, Answer>(
    message: Message,
    make: impl AsyncFn(Request<Message>) -> Result<Response<Answer>, Status>,
) -> Result<Answer, Status> {
    let mut pause = FIRST_PAUSE;
    for _ in 1..ATTEMPTS {
        match make(timed(&message)).await {
            Err(status) if status.code() == Code::Unavailable => tokio::time::sleep(pause).await,
            done => return done.map(Response::into_inner),
        }
        pause = LONGEST_PAUSE.min(pause * 2);
    }
    make(timed(&message)).await.map(Response::into_inner)
}

fn timed<Message: Clone>(message: &Message) -> Request<Message> {
    let mut request = Request::new(message.clone());
    request.set_timeout(CALL_TIME);
    request
}
