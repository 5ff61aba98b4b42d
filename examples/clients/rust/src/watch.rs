// SPDX-License-Identifier: BSD-3-Clause

use tonic::Streaming;
use tonic::codegen::Bytes;
use uuid::Uuid;

use crate::api::{
    DatasetEventKind, GetPositionRequest, PruneDatasetsRequest, RemovalSummary, WatchDatasetsRequest, WatchDatasetsResponse,
};
use crate::connect::call;
use crate::values::{bytes, ids, new_request};
use crate::{Client, Error};

/// Datasets of one type and run appeared, or were removed, together.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub kind: DatasetEventKind,
    pub dataset_type: String,
    pub run: String,
    pub ids: Vec<Uuid>,
}

/// Events as they happen; it ends when it is dropped.
pub struct Watching {
    stream: Streaming<WatchDatasetsResponse>,
    /// Where to go on from, should this break.
    pub position: Bytes,
}

impl Watching {
    /// Returns the next event; none if the service ended the stream. Each comes at least once.
    pub async fn next(&mut self) -> Result<Option<Event>, Error> {
        while let Some(message) = self.stream.message().await? {
            self.position = message.position;
            if let Some(found) = message.event {
                return Ok(Some(Event {
                    kind: found.kind(),
                    ids: ids(&found.dataset_ids)?,
                    dataset_type: found.dataset_type,
                    run: found.run,
                }));
            }
        }
        Ok(None)
    }
}

impl Client {
    /// Returns the position after the newest event, to watch from.
    pub async fn position(&self) -> Result<Bytes, Error> {
        let request = GetPositionRequest { repository: self.repository.clone() };
        Ok(call(request, async |request| self.events.clone().get_position(request).await).await?.position)
    }

    /// Watches for events of some dataset types after a position.
    pub async fn watch(&self, position: Bytes, dataset_types: &[String]) -> Result<Watching, Error> {
        let request = WatchDatasetsRequest {
            repository: self.repository.clone(),
            position: position.clone(),
            dataset_types: dataset_types.to_vec(),
            ..WatchDatasetsRequest::default()
        };
        let stream = self.events.clone().watch_datasets(request).await?.into_inner();
        Ok(Watching { stream, position })
    }

    /// Removes datasets; their artifacts go to the trash, which the datastore empties. Unknown ids are ignored.
    pub async fn prune(&self, ids: &[Uuid]) -> Result<RemovalSummary, Error> {
        let request = PruneDatasetsRequest {
            repository: self.repository.clone(),
            request_id: new_request(),
            dataset_ids: ids.iter().flat_map(|id| bytes(*id)).collect(),
            unstore: true,
            purge: true,
            ..PruneDatasetsRequest::default()
        };
        let pruned = call(request, async |request| self.removals.clone().prune_datasets(request).await).await?;
        pruned.summary.ok_or(Error::Incomplete("summary"))
    }
}
