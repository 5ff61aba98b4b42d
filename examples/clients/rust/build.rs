// SPDX-License-Identifier: BSD-3-Clause

//! Stubs for Rust, made of the protos as `buf build` has compiled them; no other compiler is needed.

use std::error::Error;
use std::fs;

use prost::Message;
use prost_types::FileDescriptorSet;

const COMPILED: &str = "build/api.binpb";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={COMPILED}");
    let compiled = FileDescriptorSet::decode(fs::read(COMPILED)?.as_slice())?;
    tonic_prost_build::configure().build_server(false).bytes(".").compile_fds(compiled)?;
    Ok(())
}
