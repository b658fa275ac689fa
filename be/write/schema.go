package write

import (
	"context"
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"stele/be/tablet"
	"stele/meta/rpc"
	"stele/meta/types"
	"stele/proto/bepb"
)

// learnSchema has a replica take a newer schema, which comes with the first write by it.
func learnSchema(ctx context.Context, t *tablet.Tablet, version uint32, encoded []byte) error {
	if len(encoded) == 0 || version <= t.SchemaVersion() {
		return nil
	}
	rpc.Waits(ctx)
	var schema types.Schema
	if err := cbor.Unmarshal(encoded, &schema); err != nil {
		return fmt.Errorf("schema for tablet %d: %w", t.ID(), err)
	}
	return t.SetSchema(schema)
}

// schemaOf returns the schema by which the rows of a part are laid out. A part of an older one than the replica's was planned
// before the table was altered; its transaction could not be committed any more.
func schemaOf(ctx context.Context, t *tablet.Tablet, p *bepb.WriteRequest_Part) (*types.Schema, error) {
	if err := learnSchema(ctx, t, p.SchemaVersion, p.Schema); err != nil {
		return nil, err
	}
	schema := t.Schema()
	if p.SchemaVersion != 0 && p.SchemaVersion != schema.Version {
		return nil, refuse(bepb.WriteResponse_STALE_EPOCH, t.ID(), "tablet %d has schema version %d, the write is by %d", t.ID(), schema.Version, p.SchemaVersion)
	}
	return schema, nil
}
