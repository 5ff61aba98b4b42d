// SPDX-License-Identifier: BSD-3-Clause

package butler

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/google/uuid"

	"butler.example/client/build/api"
)

// ErrDamaged is what reading bytes gives that are not those which were stored.
var ErrDamaged = errors.New("the bytes have another checksum than was recorded")

// Dataset is one that was found, with its artifact.
type Dataset struct {
	ID     uuid.UUID
	Run    string
	DataID DataID
	// Record tells size, checksum and format; nil if nothing is stored.
	Record *api.ArtifactRecord
	grant  []byte
}

// Find returns the dataset of a type and data ID that is in the first of the collections that has one; nil if none has.
func (c *Client) Find(ctx context.Context, datasetType string, dataID DataID, collections []string) (*Dataset, error) {
	table, err := dataID.table()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	found, err := c.datasets.FindDatasets(ctx, &api.FindDatasetsRequest{
		Repository:    c.repository,
		DatasetType:   datasetType,
		DataIds:       table,
		Collections:   collections,
		WantArtifacts: true,
	})
	if err != nil || found.Datasets[0].Dataset == nil {
		return nil, err
	}
	return dataset(found.DatasetType, found.Datasets[0])
}

func dataset(datasetType *api.DatasetType, found *api.FoundDataset) (*Dataset, error) {
	id, err := uuid.FromBytes(found.Dataset.Id)
	if err != nil {
		return nil, err
	}
	made := &Dataset{ID: id, Run: found.Dataset.Run, DataID: DataID{}}
	for i, dimension := range datasetType.Dimensions {
		made.DataID[dimension] = plain(found.Dataset.DataId[i])
	}
	if len(found.Artifacts) > 1 {
		return nil, fmt.Errorf("dataset %s is stored in %d parts, which this client does not put together", id,
			len(found.Artifacts))
	}
	if len(found.Artifacts) == 1 {
		made.Record, made.grant = found.Artifacts[0].Record, found.Artifacts[0].ReadGrant
	}
	return made, nil
}

// Read writes the bytes of a dataset to a writer: from an offset on, and at most limit of them, 0 for all. Each chunk is
// checked, and if all was read, the checksum of the whole.
func (c *Client) Read(ctx context.Context, dataset *Dataset, offset, limit int64, to io.Writer) error {
	// A reader that goes away early ends the stream.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	request := &api.ReadRequest{Grant: dataset.grant, Offset: offset, Limit: limit}
	stream, err := c.datastore.Read(ctx, request)
	if err != nil {
		return err
	}
	digest := sha256.New()
	for {
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		chunk := response.Chunk
		if Checksum(chunk.Content) != chunk.Crc32C {
			return ErrDamaged
		}
		digest.Write(chunk.Content)
		if _, err := to.Write(chunk.Content); err != nil {
			return err
		}
	}
	whole := offset == 0 && limit == 0
	if whole && fmt.Sprintf("sha256:%x", digest.Sum(nil)) != dataset.Record.Checksum {
		return ErrDamaged
	}
	return nil
}
