// SPDX-License-Identifier: BSD-3-Clause

use std::collections::BTreeMap;

use tonic::codegen::Bytes;

use crate::api::{Page, Paging, QueryDataIdsRequest, QueryDatasetsRequest, QueryFilter};
use crate::connect::call;
use crate::values::{bound, rows};
use crate::{Client, Error, Row, Scalar};

/// Restricts and orders what a query gives.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// An expression of docs/reference/expressions.md.
    pub r#where: String,
    /// Values of its names.
    pub bind: BTreeMap<String, Scalar>,
    /// Names, with "-" in front for descending.
    pub order_by: Vec<String>,
    /// How many rows come at a time; 0 leaves it to the service.
    pub page_size: i32,
}

impl Filter {
    fn message(&self) -> Result<QueryFilter, Error> {
        Ok(QueryFilter {
            r#where: self.r#where.clone(),
            bind: bound(&self.bind)?,
            order_by: self.order_by.clone(),
            ..QueryFilter::default()
        })
    }
}

enum Query {
    Datasets(QueryDatasetsRequest),
    DataIds(QueryDataIdsRequest),
}

/// The pages of a query's result, each asked for when it is wanted.
pub struct Pages<'client> {
    client: &'client Client,
    query: Query,
    page_size: i32,
    /// Of the next page; none after the last one.
    page_token: Option<Bytes>,
}

impl Client {
    /// Returns the datasets of a type in collections.
    pub fn query_datasets(&self, dataset_type: &str, collections: &[String], by: &Filter) -> Result<Pages<'_>, Error> {
        let query = Query::Datasets(QueryDatasetsRequest {
            repository: self.repository.clone(),
            dataset_type: dataset_type.to_owned(),
            collections: collections.to_vec(),
            filter: Some(by.message()?),
            ..QueryDatasetsRequest::default()
        });
        Ok(Pages { client: self, query, page_size: by.page_size, page_token: Some(Bytes::new()) })
    }

    /// Returns the data IDs of some dimensions.
    pub fn query_data_ids(&self, dimensions: &[String], by: &Filter) -> Result<Pages<'_>, Error> {
        let query = Query::DataIds(QueryDataIdsRequest {
            repository: self.repository.clone(),
            dimensions: dimensions.to_vec(),
            filter: Some(by.message()?),
            ..QueryDataIdsRequest::default()
        });
        Ok(Pages { client: self, query, page_size: by.page_size, page_token: Some(Bytes::new()) })
    }
}

impl Pages<'_> {
    /// Returns the rows of the next page; none after the last one.
    pub async fn next(&mut self) -> Result<Option<Vec<Row>>, Error> {
        let Some(page_token) = self.page_token.clone() else { return Ok(None) };
        let page = self.ask(Paging { page_size: self.page_size, page_token }).await?;
        self.page_token = Some(page.next_page_token).filter(|token| !token.is_empty());
        rows(&page.rows.ok_or(Error::Incomplete("rows"))?).map(Some)
    }

    async fn ask(&self, paging: Paging) -> Result<Page, Error> {
        let page = match &self.query {
            Query::Datasets(query) => {
                let request = QueryDatasetsRequest { paging: Some(paging), ..query.clone() };
                call(request, async |request| self.client.queries.clone().query_datasets(request).await).await?.page
            }
            Query::DataIds(query) => {
                let request = QueryDataIdsRequest { paging: Some(paging), ..query.clone() };
                call(request, async |request| self.client.queries.clone().query_data_ids(request).await).await?.page
            }
        };
        page.ok_or(Error::Incomplete("page"))
    }
}
