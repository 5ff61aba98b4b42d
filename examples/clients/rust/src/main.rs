// SPDX-License-Identifier: BSD-3-Clause

//! Does what a file of examples/conformance says.

mod conformance;

use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use butler::{Client, Options};

const LONGEST: Duration = Duration::from_mins(5);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [command, file, address] = arguments.as_slice() else {
        eprintln!("usage: butler-client conformance FILE ADDRESS");
        return ExitCode::from(2);
    };
    if command != "conformance" {
        eprintln!("{command:?} is not conformance, which is all there is");
        return ExitCode::from(2);
    }
    let done = tokio::time::timeout(LONGEST, run(file, address)).await;
    match done.unwrap_or_else(|late| Err(late.into())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(file: &str, address: &str) -> Result<(), Box<dyn Error>> {
    let client = Client::connect(address, &Options::from_environment()).await?;
    conformance::conform(&client, file).await
}
