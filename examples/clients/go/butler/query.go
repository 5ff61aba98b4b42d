// SPDX-License-Identifier: BSD-3-Clause

package butler

import (
	"context"

	"butler.example/client/build/api"
)

// Filter restricts and orders what a query gives.
type Filter struct {
	// Where is an expression of docs/reference/expressions.md.
	Where string
	// Bind holds the values of its names: int64, float64 or string.
	Bind map[string]any
	// OrderBy holds names, with "-" in front for descending.
	OrderBy []string
	// PageSize is how many rows come at a time; 0 leaves it to the service.
	PageSize int32
}

func (f Filter) message() (*api.QueryFilter, error) {
	made := &api.QueryFilter{Where: f.Where, OrderBy: f.OrderBy, Bind: map[string]*api.BindValue{}}
	for name, value := range f.Bind {
		var err error
		if made.Bind[name], err = bound(value); err != nil {
			return nil, err
		}
	}
	return made, nil
}

// QueryDatasets calls back with each page of the datasets of a type in collections.
func (c *Client) QueryDatasets(
	ctx context.Context, datasetType string, collections []string, by Filter, each func([]Row) error,
) error {
	filter, err := by.message()
	if err != nil {
		return err
	}
	return pages(ctx, by.PageSize, each, func(ctx context.Context, paging *api.Paging) (*api.Page, error) {
		response, err := c.queries.QueryDatasets(ctx, &api.QueryDatasetsRequest{
			Repository:  c.repository,
			DatasetType: datasetType,
			Collections: collections,
			Filter:      filter,
			Paging:      paging,
		})
		return response.GetPage(), err
	})
}

// QueryDataIDs calls back with each page of the data IDs of some dimensions.
func (c *Client) QueryDataIDs(ctx context.Context, dimensions []string, by Filter, each func([]Row) error) error {
	filter, err := by.message()
	if err != nil {
		return err
	}
	return pages(ctx, by.PageSize, each, func(ctx context.Context, paging *api.Paging) (*api.Page, error) {
		response, err := c.queries.QueryDataIds(ctx, &api.QueryDataIdsRequest{
			Repository: c.repository, Dimensions: dimensions, Filter: filter, Paging: paging,
		})
		return response.GetPage(), err
	})
}

// pages asks for one page after the other, until one has no token for the next.
func pages(
	ctx context.Context,
	size int32,
	each func([]Row) error,
	ask func(context.Context, *api.Paging) (*api.Page, error),
) error {
	paging := &api.Paging{PageSize: size}
	for {
		callCtx, cancel := context.WithTimeout(ctx, callTime)
		page, err := ask(callCtx, paging)
		cancel()
		if err != nil {
			return err
		}
		made, err := rows(page.Rows)
		if err != nil {
			return err
		}
		if err := each(made); err != nil || len(page.NextPageToken) == 0 {
			return err
		}
		paging = &api.Paging{PageSize: size, PageToken: page.NextPageToken}
	}
}
