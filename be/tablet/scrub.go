package tablet

import (
	"context"
	"fmt"

	"stele/be/tablet/rowset"
)

// Scrub reads and verifies every row group of the replica. The first damage makes the replica bad and is returned. pace is
// called after each row group with its size and may wait; it may end the scrub with an error.
func (t *Tablet) Scrub(ctx context.Context, pace func(ctx context.Context, bytes int64) error) error {
	s, err := t.Current()
	if err != nil {
		return err
	}
	defer s.Release()
	for _, w := range s.rowsets {
		for g := range w.r.groups {
			if err := t.s.viewGroup(w.r.group(g), (*rowset.Group).VerifyAll); err != nil {
				return fmt.Errorf("scrub tablet %d: %w", t.id, t.checkBad(err))
			}
			if err := pace(ctx, w.r.groups[g].Bytes); err != nil {
				return err
			}
		}
	}
	return nil
}
