// SPDX-License-Identifier: BSD-3-Clause

use std::iter::once;

use tonic::codegen::Bytes;
use uuid::Uuid;

use crate::api::{
    AbortPutRequest, ArtifactLayout, BeginPutRequest, Chunk, CommitPutRequest, DiscardRequest, FinishAbortRequest, PutBatch,
    Receipt, WriteHeader, WriteRequest, WriteTrailer, write_request::Part,
};
use crate::connect::call;
use crate::values::{bytes, new_request, table};
use crate::{Client, DataId, Error};

/// Returns the CRC-32C by which the bytes of a chunk are checked.
#[must_use]
pub fn checksum(content: &[u8]) -> u32 {
    crc32c::crc32c(content)
}

/// What is put, and where.
#[derive(Clone, Debug)]
pub struct Placement {
    pub run: String,
    pub dataset_type: String,
    pub storage_class: String,
    pub data_id: DataId,
    /// Label by which readers know how to decode the bytes, such as "bytes" or "json".
    pub formatter: String,
    /// End of the file's name, such as ".bin".
    pub extension: String,
}

impl Client {
    /// Stores a dataset of one artifact: everybody sees it afterwards, or nobody ever does.
    pub async fn put(&self, what: &Placement, content: Bytes) -> Result<(Uuid, Receipt), Error> {
        let id = Uuid::now_v7();
        let grant = self.begin_put(id, what).await?;
        match self.store(id, grant, content).await {
            Ok(receipt) => Ok((id, receipt)),
            Err(error) => {
                // Only what is known to have failed is given up. Otherwise, and if giving up fails, the intent's lease ends,
                // and the datastore cleans up.
                if error.problem().is_some() {
                    self.abort_put(id).await.ok();
                }
                Err(error)
            }
        }
    }

    async fn begin_put(&self, id: Uuid, what: &Placement) -> Result<Bytes, Error> {
        let layout = ArtifactLayout {
            formatter: what.formatter.clone(),
            extension: what.extension.clone(),
            storage_class: what.storage_class.clone(),
            ..ArtifactLayout::default()
        };
        let batch = PutBatch {
            dataset_type: what.dataset_type.clone(),
            storage_class: what.storage_class.clone(),
            data_ids: Some(table(&what.data_id)?),
            dataset_ids: vec![bytes(id)],
            artifacts: vec![layout],
            ..PutBatch::default()
        };
        let request = BeginPutRequest {
            repository: self.repository.clone(),
            request_id: new_request(),
            run: what.run.clone(),
            batches: vec![batch],
            ..BeginPutRequest::default()
        };
        let begun = call(request, async |request| self.datasets.clone().begin_put(request).await).await?;
        let grant = begun.batches.into_iter().flat_map(|batch| batch.grants).next();
        Ok(grant.ok_or(Error::Incomplete("grant to write"))?.token)
    }

    /// Streams an artifact, and commits it.
    async fn store(&self, id: Uuid, grant: Bytes, content: Bytes) -> Result<Receipt, Error> {
        let parts = tokio_stream::iter(parts(grant, content, self.chunk_bytes));
        let written = self.datastore.clone().write(parts).await?.into_inner();
        let receipt = written.receipt.ok_or(Error::Incomplete("receipt"))?;
        let request = CommitPutRequest {
            repository: self.repository.clone(),
            request_id: new_request(),
            dataset_ids: vec![bytes(id)],
            receipts: vec![receipt.token.clone()],
        };
        call(request, async |request| self.datasets.clone().commit_put(request).await).await?;
        Ok(receipt)
    }

    async fn abort_put(&self, id: Uuid) -> Result<(), Error> {
        let repository = &self.repository;
        let request =
            AbortPutRequest { repository: repository.clone(), request_id: new_request(), dataset_ids: vec![bytes(id)] };
        let aborted = call(request, async |request| self.datasets.clone().abort_put(request).await).await?;
        let request = DiscardRequest { grants: aborted.discard_grants };
        call(request, async |request| self.datastore.clone().discard(request).await).await?;
        let request =
            FinishAbortRequest { repository: repository.clone(), request_id: new_request(), dataset_ids: vec![bytes(id)] };
        call(request, async |request| self.datasets.clone().finish_abort(request).await).await?;
        Ok(())
    }
}

/// Gives a header, chunks, and a trailer without which nothing is kept.
#[allow(clippy::cast_possible_wrap)] // no content in memory is as long as that
fn parts(grant: Bytes, content: Bytes, chunk_bytes: usize) -> impl Iterator<Item = WriteRequest> {
    let size = content.len();
    let header = Part::Header(WriteHeader { grant, offset: 0 });
    let chunks = (0..size).step_by(chunk_bytes).map(move |start| {
        let piece = content.slice(start..size.min(start + chunk_bytes));
        Part::Chunk(Chunk { crc32c: checksum(&piece), content: piece })
    });
    let trailer = Part::Trailer(WriteTrailer { size: size as i64 });
    once(header).chain(chunks).chain(once(trailer)).map(|part| WriteRequest { part: Some(part) })
}
