package tablet

import (
	"fmt"

	"stele/meta/types"
)

// CatchUp brings a verified import, before Flip, up to version to with the change sets of src, a replica of the same
// tablet on another disk of this BE.
func (im *Import) CatchUp(src *Tablet, to types.Version) error {
	if !im.verified || im.over {
		return fmt.Errorf("catch up import of tablet %d: not verified, or over: %w", im.t.id, ErrImport)
	}
	changes, err := src.Changes(im.t.Version(), to)
	for more := true; err == nil && more; {
		var run []Change
		if run, more, err = changes.nextRun(); err == nil {
			err = im.t.ApplyChanges(run)
		}
	}
	if err != nil {
		return fmt.Errorf("catch up import of tablet %d: %w", im.t.id, err)
	}
	return nil
}
