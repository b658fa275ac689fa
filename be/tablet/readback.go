package tablet

import (
	"context"
	"errors"
	"fmt"

	"stele/meta/types"
	"stele/sql/rowset"
)

// freshGroup is a row group that was received and verified.
type freshGroup struct {
	id      rowset.GroupID
	entry   *groupEntry
	content *uint64 // the hash of its content
}

// lookAt opens row groups where they have just been stored, while more is received. What is not there is left to Verify, which says what is
// wrong with it.
func (im *Import) lookAt(groups []freshGroup) {
	columns := len(im.t.meta.Schema.Columns) + 1
	for _, g := range groups {
		im.s.data.Ahead(groupKey(g.id), rowset.HeadBytes(columns, int(g.entry.Rows)))
	}
	for _, g := range groups {
		if err := im.s.viewSome(g.id, func(*rowset.Group) error { return nil }); err != nil {
			im.s.log.Warn("a row group of a clone is not as it was stored", "tablet_id", im.t.id, "rowset", g.id.Rowset, "group", g.id.Group, "err", err)
			*g.content = 0
		}
	}
}

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

// compareGroups verifies the row groups that were not, or that are not where they should be, and that all of them are the source's.
func (im *Import) compareGroups(digest uint64) error {
	im.looking.Wait()
	if err := im.readRest(); err != nil {
		return err
	}
	if proof := proofOf(im.contents); proof != im.end.Proof || digest != im.end.Digest || im.t.rows != im.end.Rows {
		return fmt.Errorf("%d rows in row groups with hash %x, not %d in %x; digest %x, asked for %x: %w", im.t.rows, proof, im.end.Rows, im.end.Proof, im.end.Digest, digest, ErrDigest)
	}
	im.t.learnDigest(DigestPoint{Version: im.version, Digest: digest, Rows: im.t.rows, Schema: im.header.Schema.Version})
	return nil
}

// readRest verifies row groups where they are stored. What is damaged counts as not received: the next import of the replica has it sent
// again.
func (im *Import) readRest() error {
	var bad error
	for rs, r := range im.t.rowsets {
		for g := range r.groups {
			if im.contents[rs][g] != 0 {
				continue
			}
			content, err := im.s.contentOf(r.group(g))
			switch {
			case errors.Is(err, ErrCorrupt):
				im.got[rs][g] = false
				bad = errors.Join(bad, err)
			case err != nil:
				return err
			}
			im.contents[rs][g] = content
		}
	}
	if bad != nil {
		return fmt.Errorf("%w: %w: %w", ErrImport, errResend, bad)
	}
	return nil
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
