// SPDX-License-Identifier: BSD-3-Clause

use sha2::{Digest, Sha256};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tonic::codegen::Bytes;
use uuid::Uuid;

use crate::api::{ArtifactRecord, DatasetType, FindDatasetsRequest, FoundDataset, ReadRequest};
use crate::connect::call;
use crate::values::{ids, plain, table};
use crate::{Client, DataId, Error, checksum};

/// A dataset that was found, with its artifact.
#[derive(Clone, Debug)]
pub struct Dataset {
    pub id: Uuid,
    pub run: String,
    pub data_id: DataId,
    /// Size, checksum and format; none if nothing is stored.
    pub record: Option<ArtifactRecord>,
    grant: Bytes,
}

impl Client {
    /// Returns the dataset of a type and data ID that is in the first of the collections that has one.
    pub async fn find(&self, dataset_type: &str, data_id: &DataId, collections: &[String]) -> Result<Option<Dataset>, Error> {
        let request = FindDatasetsRequest {
            repository: self.repository.clone(),
            dataset_type: dataset_type.to_owned(),
            data_ids: Some(table(data_id)?),
            collections: collections.to_vec(),
            want_artifacts: true,
            ..FindDatasetsRequest::default()
        };
        let found = call(request, async |request| self.datasets.clone().find_datasets(request).await).await?;
        // If nothing was found, no type is told.
        let named = found.dataset_type.unwrap_or_default();
        let entry = found.datasets.into_iter().next().ok_or(Error::Incomplete("entry of the data ID"))?;
        dataset(&named, entry)
    }

    /// Writes the bytes of a dataset: from an offset on, and at most `limit` of them, 0 for all. Each chunk is checked, and if
    /// all was read, the checksum of the whole.
    pub async fn read(
        &self,
        dataset: &Dataset,
        offset: i64,
        limit: i64,
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Result<(), Error> {
        let request = ReadRequest { grant: dataset.grant.clone(), offset, limit, continued: false };
        let mut stream = self.datastore.clone().read(request).await?.into_inner();
        let mut digest = Sha256::new();
        while let Some(response) = stream.message().await? {
            let chunk = response.chunk.ok_or(Error::Incomplete("chunk"))?;
            if checksum(&chunk.content) != chunk.crc32c {
                return Err(Error::Damaged);
            }
            digest.update(&chunk.content);
            to.write_all(&chunk.content).await?;
        }
        let recorded = dataset.record.as_ref().map(|record| record.checksum.as_str());
        if (offset, limit) == (0, 0) && recorded != Some(format!("sha256:{}", hex::encode(digest.finalize())).as_str()) {
            return Err(Error::Damaged);
        }
        Ok(())
    }
}

fn dataset(dataset_type: &DatasetType, entry: FoundDataset) -> Result<Option<Dataset>, Error> {
    let Some(found) = entry.dataset else { return Ok(None) };
    if entry.artifacts.len() > 1 {
        let parts = entry.artifacts.len();
        let said = format!("it is stored in {parts} parts, which this client does not put together");
        return Err(Error::Unusable(said));
    }
    let artifact = entry.artifacts.into_iter().next().unwrap_or_default();
    Ok(Some(Dataset {
        id: *ids(&found.id)?.first().ok_or(Error::Incomplete("id of the dataset"))?,
        run: found.run,
        data_id: dataset_type.dimensions.iter().cloned().zip(found.data_id.iter().map(plain)).collect(),
        record: artifact.record,
        grant: artifact.read_grant,
    }))
}
