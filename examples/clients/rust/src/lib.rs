// SPDX-License-Identifier: BSD-3-Clause

//! A small client of Butler over gRPC, made of generated stubs.

mod connect;
mod errors;
mod get;
mod put;
mod query;
mod values;
mod watch;

pub use connect::{Client, Options};
pub use errors::{Error, Problem};
pub use get::Dataset;
pub use put::{Placement, checksum};
pub use query::{Filter, Pages};
pub use values::{DataId, Row, Scalar};
pub use watch::{Event, Watching};

/// The messages and stubs of the protos.
#[allow(clippy::pedantic)]
pub mod api {
    tonic::include_proto!("butler_api.v1");
}
