package tablet

import (
	"context"
	"fmt"

	"stele/be/tablet/wire"
	"stele/meta/types"
)

// SkipTo has the replica pass over every version up to v that it lacks, as if each had changed nothing, durably. It is for
// versions that are lost for good; what is pending is dropped when its outcome is heard.
func (t *Tablet) SkipTo(ctx context.Context, v types.Version) error {
	nothing := wire.EncodeChange(0, nil)
	for next := t.Version() + 1; next <= v; next++ {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("skip version %d of tablet %d: %w", next, t.id, err)
		}
		if err := t.ApplyChange(next, nothing); err != nil && next > t.Version() {
			return err
		}
	}
	return nil
}
