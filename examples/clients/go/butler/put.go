// SPDX-License-Identifier: BSD-3-Clause

package butler

import (
	"context"
	"errors"
	"hash/crc32"
	"io"

	"github.com/google/uuid"

	"butler.example/client/build/api"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Checksum returns the CRC-32C by which the bytes of a chunk are checked.
func Checksum(content []byte) uint32 { return crc32.Checksum(content, castagnoli) }

// Placement says what is put, and where.
type Placement struct {
	Run          string
	DatasetType  string
	StorageClass string
	DataID       DataID
	// Formatter is the label by which readers know how to decode the bytes, such as "bytes" or "json".
	Formatter string
	// Extension is the end of the file's name, such as ".bin".
	Extension string
}

// Put stores a dataset of one artifact, and returns its id. Everybody sees it when Put returns, or nobody ever does.
func (c *Client) Put(ctx context.Context, what Placement, content io.Reader) (uuid.UUID, *api.Receipt, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return uuid.Nil, nil, err
	}
	grant, err := c.beginPut(ctx, id, what)
	if err != nil {
		return uuid.Nil, nil, err
	}
	receipt, err := c.write(ctx, grant, content)
	if err == nil {
		err = c.commitPut(ctx, id, receipt)
	}
	// Only what is known to have failed is given up. Otherwise the intent's lease ends, and the datastore cleans up.
	if _, refused := ProblemOf(err); refused {
		return uuid.Nil, nil, errors.Join(err, c.abortPut(ctx, id))
	}
	return id, receipt, err
}

func (c *Client) beginPut(ctx context.Context, id uuid.UUID, what Placement) ([]byte, error) {
	dataIDs, err := what.DataID.table()
	if err != nil {
		return nil, err
	}
	layout := &api.ArtifactLayout{
		Formatter: what.Formatter, Extension: what.Extension, StorageClass: what.StorageClass,
	}
	batch := &api.PutBatch{
		DatasetType:  what.DatasetType,
		StorageClass: what.StorageClass,
		DataIds:      dataIDs,
		DatasetIds:   [][]byte{id[:]},
		Artifacts:    []*api.ArtifactLayout{layout},
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	begun, err := c.datasets.BeginPut(ctx, &api.BeginPutRequest{
		Repository: c.repository, RequestId: newRequest(), Run: what.Run, Batches: []*api.PutBatch{batch},
	})
	if err != nil {
		return nil, err
	}
	return begun.Batches[0].Grants[0].Token, nil
}

// write streams an artifact: a header, chunks, and a trailer without which nothing is kept.
func (c *Client) write(ctx context.Context, grant []byte, content io.Reader) (*api.Receipt, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.datastore.Write(ctx)
	if err != nil {
		return nil, err
	}
	size, err := send(stream, grant, content, int(c.limits.ChunkBytes))
	if err == nil {
		trailer := &api.WriteRequest_Trailer{Trailer: &api.WriteTrailer{Size: size}}
		err = stream.Send(&api.WriteRequest{Part: trailer})
	}
	// The service may end the stream early; why it did comes with the answer.
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	response, err := stream.CloseAndRecv()
	if err != nil {
		return nil, err
	}
	return response.Receipt, nil
}

func send(
	stream api.DatastoreService_WriteClient, grant []byte, content io.Reader, chunkBytes int,
) (int64, error) {
	header := &api.WriteRequest_Header{Header: &api.WriteHeader{Grant: grant}}
	if err := stream.Send(&api.WriteRequest{Part: header}); err != nil {
		return 0, err
	}
	size := int64(0)
	for {
		// A new buffer for each message: a retry may send it again.
		buffer := make([]byte, chunkBytes)
		n, err := io.ReadFull(content, buffer)
		if n > 0 {
			size += int64(n)
			chunk := &api.Chunk{Content: buffer[:n], Crc32C: Checksum(buffer[:n])}
			if err := stream.Send(&api.WriteRequest{Part: &api.WriteRequest_Chunk{Chunk: chunk}}); err != nil {
				return size, err
			}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return size, nil
		case err != nil:
			return size, err
		}
	}
}

func (c *Client) commitPut(ctx context.Context, id uuid.UUID, receipt *api.Receipt) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	_, err := c.datasets.CommitPut(ctx, &api.CommitPutRequest{
		Repository: c.repository,
		RequestId:  newRequest(),
		DatasetIds: [][]byte{id[:]},
		Receipts:   [][]byte{receipt.Token},
	})
	return err
}

func (c *Client) abortPut(ctx context.Context, id uuid.UUID) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	ids := [][]byte{id[:]}
	aborted, err := c.datasets.AbortPut(ctx, &api.AbortPutRequest{
		Repository: c.repository, RequestId: newRequest(), DatasetIds: ids,
	})
	if err != nil {
		return err
	}
	if _, err := c.datastore.Discard(ctx, &api.DiscardRequest{Grants: aborted.DiscardGrants}); err != nil {
		return err
	}
	_, err = c.datasets.FinishAbort(ctx, &api.FinishAbortRequest{
		Repository: c.repository, RequestId: newRequest(), DatasetIds: ids,
	})
	return err
}
