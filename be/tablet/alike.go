package tablet

import (
	"fmt"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"stele/be/tablet/kv"
	"stele/meta/types"
	"stele/sql/rowset"
)

// An interrupted full clone that goes on from another source keeps the row groups that the other replica has, too: those of a
// bulk load and of the same merges are the same bytes on every replica. Which they are is told by what their index says of
// them; that they really are the same rows is found out with everything else, by the digest, before the replica is used. The
// target gives them the place that they have in the new source's layout.

// groupKind is what an index says of a row group.
type groupKind struct {
	rows     uint32
	bytes    int64
	min, max string
	version  types.Version
}

func kindOf(g *groupEntry) groupKind {
	return groupKind{rows: g.Rows, bytes: g.Bytes, min: string(g.MinKey), max: string(g.MaxKey), version: g.MaxVersion}
}

// likeGroup says which row group of the target stands in for one of the source's rowset.
type likeGroup struct {
	Group uint32 `cbor:"1,keyasint"` // of the source's rowset
	Local uint64 `cbor:"2,keyasint"` // rowset of the target
	From  uint32 `cbor:"3,keyasint"` // row group of that
}

// alikeCopy is a row group that the target has to copy to its new place.
type alikeCopy struct {
	rowset int
	likeGroup
}

// kindsOf describes the row groups of a rowset that have been received.
func kindsOf(r *importRowset, groups *roaring.Bitmap) []groupEntry {
	var out []groupEntry
	for g := range roaring.Values(groups) {
		if int(g) < len(r.Groups) {
			out = append(out, r.Groups[g])
		}
	}
	return out
}

// addKinds puts what a token says into a map. An older target says nothing.
func (t *tokenEntry) addKinds(alike map[groupKind]likeGroup, groups *roaring.Bitmap) {
	i := 0
	for g := range roaring.Values(groups) {
		if i == len(t.Kinds) {
			return
		}
		alike[kindOf(&t.Kinds[i])] = likeGroup{Local: t.Local, From: g}
		i++
	}
}

// announce notes the row groups that the source has left out because the target has their like.
func (im *Import) announce(rs int, list []likeGroup) error {
	for _, l := range list {
		if im.from == nil || im.from.have[l.Local] == nil || !im.from.have[l.Local].Contains(l.From) || int(l.Group) >= len(im.got[rs]) {
			return fmt.Errorf("row group %d of rowset %d was left out but is not here: %w", l.Group, rs, ErrImport)
		}
		im.alike = append(im.alike, alikeCopy{rowset: rs, likeGroup: l})
	}
	return nil
}

// copyAlike gives those row groups their new place. The old ones are garbage afterwards, like the rest of their rowset.
func (im *Import) copyAlike() error {
	for _, c := range im.alike {
		old := rowset.GroupID{UID: im.t.uid, Rowset: c.Local, Group: c.From}
		id := im.t.rowsets[c.rowset].group(int(c.Group))
		var val []byte
		err := im.s.viewData(groupKey(old), func(raw []byte) error {
			val = slices.Clone(raw)
			return rowset.Restamp(id, val)
		})
		if err != nil {
			return fmt.Errorf("row group %d of rowset %d from another source: %w", c.Group, c.rowset, err)
		}
		im.got[c.rowset][c.Group] = true
		im.queued = append(im.queued, kv.Cold(groupKey(id), val))
		im.s.importing.Add(int64(len(val)))
		if im.bytes += int64(len(val)); im.bytes >= importPiece {
			if err := im.push(); err != nil {
				return err
			}
		}
	}
	im.alike = nil
	return im.flush()
}
