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
	for err == nil {
		c, more, nerr := changes.Next()
		if err = nerr; err != nil || !more {
			break
		}
		err = im.t.ApplyChange(c.Version, c.Payload)
	}
	if err != nil {
		return fmt.Errorf("catch up import of tablet %d: %w", im.t.id, err)
	}
	return nil
}
