// SPDX-License-Identifier: BSD-3-Clause

package butler

import (
	"context"

	"github.com/google/uuid"

	"butler.example/client/build/api"
)

// Event says that datasets of one type and run appeared, or were removed, together.
type Event struct {
	// Kind is api.DatasetEventKind_DATASET_EVENT_KIND_APPEARED or …_REMOVED.
	Kind        api.DatasetEventKind
	DatasetType string
	Run         string
	IDs         []uuid.UUID
}

// Position returns the position after the newest event, to watch from.
func (c *Client) Position(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	found, err := c.events.GetPosition(ctx, &api.GetPositionRequest{Repository: c.repository})
	return found.GetPosition(), err
}

// Watch calls back with each event after a position, as it happens, until the callback answers false or the context
// ends. It returns the position to go on from, also with an error. Each event comes at least once.
func (c *Client) Watch(ctx context.Context, position []byte, types []string, each func(Event) bool) ([]byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.events.WatchDatasets(ctx, &api.WatchDatasetsRequest{
		Repository: c.repository, Position: position, DatasetTypes: types,
	})
	if err != nil {
		return position, err
	}
	for {
		message, err := stream.Recv()
		if err != nil {
			return position, err
		}
		if found := message.Event; found != nil {
			event := Event{Kind: found.Kind, DatasetType: found.DatasetType, Run: found.Run}
			for i := 0; i < len(found.DatasetIds); i += 16 {
				event.IDs = append(event.IDs, uuid.UUID(found.DatasetIds[i:i+16]))
			}
			if !each(event) {
				return message.Position, nil
			}
		}
		position = message.Position
	}
}

// Prune removes datasets; their artifacts go to the trash, which the datastore empties. Unknown ids are ignored.
func (c *Client) Prune(ctx context.Context, ids []uuid.UUID) (*api.RemovalSummary, error) {
	var joined []byte
	for _, id := range ids {
		joined = append(joined, id[:]...)
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	pruned, err := c.removals.PruneDatasets(ctx, &api.PruneDatasetsRequest{
		Repository: c.repository, RequestId: newRequest(), DatasetIds: joined, Unstore: true, Purge: true,
	})
	return pruned.GetSummary(), err
}
