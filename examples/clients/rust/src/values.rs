// SPDX-License-Identifier: BSD-3-Clause

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use tonic::codegen::Bytes;
use uuid::Uuid;

use crate::Error;
use crate::api::{BindValue, Column, IntColumn, StringColumn, Table, Value, bind_value, column, value};

/// A value of a data ID, of an expression's name, or of a result.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Scalar {
    Int(i64),
    Float(f64),
    Bool(bool),
    Text(String),
    Id(Uuid),
    Null,
}

impl From<i64> for Scalar {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<&str> for Scalar {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

/// Which dataset is meant: an integer or a text by dimension. A key may also be a field of a dimension that is unique, such as
/// `detector.full_name`; the service finds the dimension's value.
pub type DataId = BTreeMap<String, Scalar>;

/// A row of a result, by column.
pub type Row = BTreeMap<String, Scalar>;

/// Returns the table of one data ID.
pub(crate) fn table(data_id: &DataId) -> Result<Table, Error> {
    let mut columns = Vec::new();
    for (name, value) in data_id {
        let values = match value {
            Scalar::Int(value) => column::Values::Ints(IntColumn { values: vec![*value] }),
            Scalar::Text(value) => column::Values::Strings(StringColumn { dictionary: vec![value.clone()], indexes: vec![0] }),
            _ => {
                let said = format!("{name} of the data ID is {value:?}; it must be an integer or a text");
                return Err(Error::Unusable(said));
            }
        };
        columns.push(Column { name: name.clone(), values: Some(values), ..Column::default() });
    }
    Ok(Table { columns, rows: 1 })
}

/// Returns what a value holds; values of kinds that this client does not know are null.
pub(crate) fn plain(value: &Value) -> Scalar {
    match &value.kind {
        Some(value::Kind::IntValue(value)) => Scalar::Int(*value),
        Some(value::Kind::StringValue(value)) => Scalar::Text(value.clone()),
        Some(value::Kind::FloatValue(value)) => Scalar::Float(*value),
        Some(value::Kind::BoolValue(value)) => Scalar::Bool(*value),
        _ => Scalar::Null,
    }
}

/// Returns the values of the names of an expression.
pub(crate) fn bound(values: &BTreeMap<String, Scalar>) -> Result<HashMap<String, BindValue>, Error> {
    let mut made = HashMap::new();
    for (name, value) in values {
        let kind = match value {
            Scalar::Int(value) => value::Kind::IntValue(*value),
            Scalar::Float(value) => value::Kind::FloatValue(*value),
            Scalar::Text(value) => value::Kind::StringValue(value.clone()),
            _ => return Err(Error::Unusable(format!("{name} is {value:?}, which this client does not bind"))),
        };
        let value = bind_value::Kind::Value(Value { kind: Some(kind) });
        made.insert(name.clone(), BindValue { kind: Some(value) });
    }
    Ok(made)
}

/// Returns the rows of a table. Columns of kinds that this client does not know are left out.
pub(crate) fn rows(table: &Table) -> Result<Vec<Row>, Error> {
    let mut made = vec![Row::new(); table.rows as usize];
    for column in &table.columns {
        for (i, row) in (0..).zip(&mut made) {
            let value = if column.null_rows.contains(&i) { Some(Scalar::Null) } else { at(column, i as usize)? };
            if let Some(value) = value {
                row.insert(column.name.clone(), value);
            }
        }
    }
    Ok(made)
}

fn at(column: &Column, i: usize) -> Result<Option<Scalar>, Error> {
    let found = match &column.values {
        Some(column::Values::Ints(ints)) => ints.values.get(i).copied().map(Scalar::Int),
        Some(column::Values::Floats(floats)) => floats.values.get(i).copied().map(Scalar::Float),
        Some(column::Values::Bools(bools)) => bools.values.get(i).copied().map(Scalar::Bool),
        Some(column::Values::Strings(strings)) => {
            let index = strings.indexes.get(i).map(|index| *index as usize);
            index.and_then(|index| strings.dictionary.get(index)).cloned().map(Scalar::Text)
        }
        Some(column::Values::Uuids(joined)) => ids(joined)?.get(i).copied().map(Scalar::Id),
        _ => return Ok(None),
    };
    found.map(Some).ok_or(Error::Incomplete("value for each row"))
}

/// Returns the ids that are joined in some bytes.
pub(crate) fn ids(joined: &Bytes) -> Result<Vec<Uuid>, Error> {
    let wrong = |_| Error::Incomplete("ids of 16 bytes");
    joined.chunks(16).map(|id| Uuid::from_slice(id).map_err(wrong)).collect()
}

pub(crate) fn bytes(id: Uuid) -> Bytes {
    Bytes::copy_from_slice(id.as_bytes())
}

/// Returns the id of a mutation.
pub(crate) fn new_request() -> Bytes {
    bytes(Uuid::new_v4())
}
