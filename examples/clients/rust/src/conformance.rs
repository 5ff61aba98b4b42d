// SPDX-License-Identifier: BSD-3-Clause

//! The steps of a conformance file; `examples/conformance/README.md` tells what they are.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::fs;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use butler::api::DatasetEventKind;
use butler::{Client, DataId, Filter, Placement, Scalar, checksum};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tonic::Code;
use uuid::Uuid;

/// Bytes up to which `get` gives their text.
const SHORT: usize = 1000;

#[derive(Deserialize)]
struct Script {
    steps: Vec<Value>,
}

#[derive(Deserialize)]
struct Step {
    name: String,
    r#do: String,
    with: Arguments,
    #[serde(default)]
    expect: Value,
    expect_error: Option<ExpectedError>,
    save: Option<String>,
}

#[derive(Deserialize)]
struct ExpectedError {
    code: String,
    reason: String,
    #[serde(default)]
    metadata: HashMap<String, String>,
}

/// Those of all operations; each uses some.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Arguments {
    content: Content,
    run: String,
    dataset_type: String,
    storage_class: String,
    formatter: String,
    extension: String,
    data_id: DataId,
    collections: Vec<String>,
    offset: i64,
    limit: i64,
    dimensions: Vec<String>,
    r#where: String,
    bind: BTreeMap<String, Scalar>,
    order_by: Vec<String>,
    page_size: i32,
    ids: Vec<Uuid>,
    from: String,
    dataset_types: Vec<String>,
    events: usize,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Content {
    text: String,
    size: usize,
}

impl Content {
    fn bytes(&self) -> Vec<u8> {
        match self.size {
            0 => self.text.clone().into_bytes(),
            size => self.text.bytes().cycle().take(size).collect(),
        }
    }
}

/// Does the steps of a file.
///
/// # Errors
///
/// How the first step differs that does.
pub async fn conform(client: &Client, file: &str) -> Result<(), Box<dyn Error>> {
    let script: Script = serde_json::from_slice(&fs::read(file)?)?;
    let mut saved: HashMap<String, String> = HashMap::new();
    for raw in script.steps {
        // What was saved is text without anything to escape, so it can be put in before the step is read.
        let text = saved
            .iter()
            .fold(raw.to_string(), |text, (name, value)| text.replace(&format!("\"${name}\""), &format!("\"{value}\"")));
        let step: Step = serde_json::from_str(&text)?;
        let (given, to_save) = match perform(client, &step).await {
            Ok(Given { value, save }) => (Ok(value), save),
            Err(error) => (Err(error), String::new()),
        };
        compare(&step, given).map_err(|differs| format!("{}: {differs}", step.name))?;
        println!("ok {}", step.name);
        if let Some(name) = step.save {
            saved.insert(name, to_save);
        }
    }
    Ok(())
}

/// What a step gave, and what of that can be saved.
struct Given {
    value: Value,
    save: String,
}

async fn perform(client: &Client, step: &Step) -> Result<Given, Box<dyn Error>> {
    let with = &step.with;
    let value = match step.r#do.as_str() {
        "checksum" => json!({"crc32c": checksum(&with.content.bytes())}),
        "position" => {
            let save = BASE64_STANDARD.encode(client.position().await?);
            return Ok(Given { value: json!({}), save });
        }
        "put" => {
            let (id, receipt) = client.put(&placement(with), with.content.bytes().into()).await?;
            let value = json!({"size": receipt.size, "checksum": receipt.checksum});
            return Ok(Given { value, save: id.to_string() });
        }
        "find" => find(client, with).await?,
        "get" => get(client, with).await?,
        "query_datasets" | "query_data_ids" => query(client, &step.r#do, with).await?,
        "prune" => {
            let summary = client.prune(&with.ids).await?;
            json!({"datasets": summary.datasets, "artifacts": summary.artifacts, "size": summary.size})
        }
        "watch" => watch(client, with).await?,
        other => return Err(format!("this client does not know how to do {other:?}").into()),
    };
    Ok(Given { value, save: String::new() })
}

fn placement(with: &Arguments) -> Placement {
    Placement {
        run: with.run.clone(),
        dataset_type: with.dataset_type.clone(),
        storage_class: with.storage_class.clone(),
        data_id: with.data_id.clone(),
        formatter: with.formatter.clone(),
        extension: with.extension.clone(),
    }
}

async fn find(client: &Client, with: &Arguments) -> Result<Value, Box<dyn Error>> {
    let found = client.find(&with.dataset_type, &with.data_id, &with.collections).await?;
    Ok(match found {
        None => json!({"id": null}),
        Some(found) => json!({
            "id": found.id, "run": found.run, "data_id": found.data_id, "size": found.record.map(|record| record.size),
        }),
    })
}

async fn get(client: &Client, with: &Arguments) -> Result<Value, Box<dyn Error>> {
    let found = client.find(&with.dataset_type, &with.data_id, &with.collections).await?;
    let found = found.ok_or("there is no such dataset to get")?;
    let mut content = Vec::new();
    client.read(&found, with.offset, with.limit, &mut content).await?;
    let mut given = json!({"size": content.len(), "sha256": hex::encode(Sha256::digest(&content))});
    if content.len() <= SHORT {
        given["text"] = String::from_utf8(content)?.into();
    }
    Ok(given)
}

async fn query(client: &Client, kind: &str, with: &Arguments) -> Result<Value, Box<dyn Error>> {
    let by = Filter {
        r#where: with.r#where.clone(),
        bind: with.bind.clone(),
        order_by: with.order_by.clone(),
        page_size: with.page_size,
    };
    let mut asked = match kind {
        "query_datasets" => client.query_datasets(&with.dataset_type, &with.collections, &by)?,
        _ => client.query_data_ids(&with.dimensions, &by)?,
    };
    let (mut pages, mut rows) = (Vec::new(), Vec::new());
    while let Some(page) = asked.next().await? {
        pages.push(page.len());
        rows.extend(page);
    }
    Ok(json!({"pages": pages, "rows": rows}))
}

async fn watch(client: &Client, with: &Arguments) -> Result<Value, Box<dyn Error>> {
    let position = BASE64_STANDARD.decode(&with.from)?;
    let mut watching = client.watch(position.into(), &with.dataset_types).await?;
    let mut events = Vec::new();
    while events.len() < with.events {
        let event = watching.next().await?.ok_or("the service ended the stream")?;
        if events.last() != Some(&event) {
            events.push(event);
        }
    }
    let shown = events.iter().map(|event| {
        let kind = match event.kind {
            DatasetEventKind::Appeared => "APPEARED",
            DatasetEventKind::Removed => "REMOVED",
            DatasetEventKind::Unspecified => "UNSPECIFIED",
        };
        json!({"kind": kind, "dataset_type": event.dataset_type, "run": event.run, "ids": event.ids})
    });
    Ok(json!({"events": shown.collect::<Vec<_>>()}))
}

/// Compares what a step gave with what it is to give.
fn compare(step: &Step, given: Result<Value, Box<dyn Error>>) -> Result<(), Box<dyn Error>> {
    let Some(wanted) = &step.expect_error else {
        let given = given?;
        return if matches(&step.expect, &given) { Ok(()) } else { Err(format!("gave {given}, not {}", step.expect).into()) };
    };
    let error = match given {
        Ok(given) => return Err(format!("gave {given}, not an error").into()),
        Err(error) => error,
    };
    let said = error.downcast_ref().and_then(butler::Error::problem);
    let said = said.ok_or_else(|| format!("failed with {error}, not with a typed error"))?;
    let code = canonical(said.code);
    if (&code, &said.reason) != (&wanted.code, &wanted.reason) {
        let (reason, wanted_code, wanted_reason) = (said.reason, &wanted.code, &wanted.reason);
        return Err(format!("failed with {code} {reason}, not with {wanted_code} {wanted_reason}").into());
    }
    for (name, value) in &wanted.metadata {
        if said.metadata.get(name) != Some(value) {
            return Err(format!("the error says {:?} of {name}, not {value}", said.metadata.get(name)).into());
        }
    }
    Ok(())
}

/// Returns a code as the protocol names it, such as `NOT_FOUND`.
fn canonical(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.extend(letter.to_uppercase());
    }
    name
}

/// Tells whether what was given has all that is wanted: of objects only the members that are named.
fn matches(wanted: &Value, given: &Value) -> bool {
    match (wanted, given) {
        (Value::Object(wanted), Value::Object(given)) => {
            wanted.iter().all(|(name, value)| given.get(name).is_some_and(|present| matches(value, present)))
        }
        (Value::Array(wanted), Value::Array(given)) => {
            wanted.len() == given.len() && wanted.iter().zip(given).all(|(wanted, given)| matches(wanted, given))
        }
        _ => wanted == given,
    }
}
