// SPDX-License-Identifier: BSD-3-Clause

use std::collections::HashMap;

use tonic::{Code, Status};
use tonic_types::StatusExt;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A call failed; `problem` tells what the service said of it.
    #[error("{:?}: {}", .0.code(), .0.message())]
    Call(#[from] Status),
    /// Bytes that were read are not those which were stored.
    #[error("the bytes have another checksum than was recorded")]
    Damaged,
    /// An answer lacks what the protocol says is there.
    #[error("the answer of the service has no {0}")]
    Incomplete(&'static str),
    /// What was asked for cannot be done by this client.
    #[error("{0}")]
    Unusable(String),
    /// A file could not be read, or what was read not be written.
    #[error(transparent)]
    File(#[from] std::io::Error),
    /// A channel could not be made: an address or a certificate is none.
    #[error(transparent)]
    Channel(#[from] tonic::transport::Error),
}

/// What a service said of a call that failed. Decide by its reason, never by the message.
#[derive(Debug)]
pub struct Problem {
    /// The canonical code.
    pub code: Code,
    /// One of the table in docs/protocol.md, such as `MISSING_COLLECTION`.
    pub reason: String,
    /// What the error is about.
    pub metadata: HashMap<String, String>,
}

impl Error {
    /// Returns what a service said, or nothing if it said nothing: an error without `ErrorInfo` comes from the network, or from
    /// what lies between.
    #[must_use]
    pub fn problem(&self) -> Option<Problem> {
        let Error::Call(status) = self else { return None };
        let info = status.get_details_error_info().filter(|info| info.domain == "butler")?;
        Some(Problem { code: status.code(), reason: info.reason, metadata: info.metadata })
    }
}
