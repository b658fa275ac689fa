package tablet

import (
	"context"
	"errors"
	"fmt"

	"stele/meta/types"
	"stele/sql/rowset"
)

// contentOf verifies a row group as it is stored and returns the hash of its content.
func (s *Store) contentOf(id rowset.GroupID) (content uint64, err error) {
	key := groupKey(id)
	err = s.viewData(key, func(val []byte) (err error) {
		content, err = contentOf(id, val)
		return err
	})
	return content, missingIsCorrupt(key, err)
}

// Verify is the first half of Commit: it compares what has arrived with what the source has sent, and changes nothing.
//
// Row groups that are the source's byte for byte, with the same rows hidden, hold the source's rows: so their hashes are
// compared, which costs a hundredth of computing the digest from the rows. Flip has the rows scrubbed soon, which does that.
func (im *Import) Verify(version types.Version, digest uint64) error {
	err := im.complete(version)
	if err == nil {
		err = im.storeIndexes()
	}
	if err == nil && im.end.Proof == 0 {
		err = im.compareRows(digest)
	} else if err == nil {
		err = im.compareGroups(digest)
	}
	if err != nil {
		im.refused = im.refused || !errors.Is(err, errResend) && (errors.Is(err, ErrCorrupt) || errors.Is(err, ErrDigest))
		return fmt.Errorf("import tablet %d: %w", im.t.id, err)
	}
	im.verified = true
	return nil
}

// compareGroups opens all row groups where they lie, verifies those that did not come by this import, and compares all of them with the
// source's.
func (im *Import) compareGroups(digest uint64) error {
	if err := im.lookBack(); err != nil {
		return err
	}
	if proof := proofOf(im.contents); proof != im.end.Proof || digest != im.end.Digest || im.t.rows != im.end.Rows {
		return fmt.Errorf("%d rows in row groups with hash %x, not %d in %x; digest %x, asked for %x: %w", im.t.rows, proof, im.end.Rows, im.end.Proof, im.end.Digest, digest, ErrDigest)
	}
	im.t.learnDigest(DigestPoint{Version: im.version, Digest: digest, Rows: im.t.rows, Schema: im.header.Schema.Version})
	return nil
}

// headsAhead is how many row groups are asked for before the first one is looked at.
const headsAhead = 256

// lookBack opens each row group as it is stored: what came by this import was verified then, and is there now; the rest is verified. What is
// damaged counts as not received: the next import of the replica has it sent again.
func (im *Import) lookBack() error {
	var ids []rowset.GroupID
	for _, r := range im.t.rowsets {
		for g := range r.groups {
			ids = append(ids, r.group(g))
		}
	}
	var bad error
	at, asked := 0, 0
	for rs, r := range im.t.rowsets {
		for g := range r.groups {
			for ; asked < min(at+headsAhead, len(ids)); asked++ {
				im.s.data.Ahead(groupKey(ids[asked]), rowset.HeadBytes(len(im.t.meta.Schema.Columns)+1, int(r.groups[g].Rows)))
			}
			err := im.look(ids[at], &im.contents[rs][g])
			at++
			if errors.Is(err, ErrCorrupt) {
				im.got[rs][g] = false
				bad = errors.Join(bad, err)
			} else if err != nil {
				return err
			}
		}
	}
	if bad != nil {
		return fmt.Errorf("%w: %w: %w", ErrImport, errResend, bad)
	}
	return nil
}

// look opens a row group as it is stored, and finds out the hash of its content if that is not known.
func (im *Import) look(id rowset.GroupID, content *uint64) (err error) {
	if *content == 0 {
		*content, err = im.s.contentOf(id)
		return err
	}
	return im.s.viewSome(id, func(*rowset.Group) error { return nil })
}

// errResend says that some row groups have to be sent again, and the others not.
var errResend = errors.New("row groups are damaged")

// compareRows is for a source that sends no hash of its row groups: it computes the digest from the rows.
func (im *Import) compareRows(digest uint64) error {
	got, rows, err := im.t.ScanDigest(context.Background(), im.version)
	if err == nil && (got != digest || got != im.end.Digest || rows != im.end.Rows) {
		err = fmt.Errorf("%d rows with digest %x, not %d with %x (asked for %x): %w", rows, got, im.end.Rows, im.end.Digest, digest, ErrDigest)
	}
	return err
}
