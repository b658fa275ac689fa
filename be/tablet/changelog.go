package tablet

import (
	"fmt"
	"slices"
	"time"

	"stele/meta/types"
)

// changeLog is which versions' change sets are still stored: those from first on, without a gap. Guarded by the tablet's
// mu.
//
// Half an hour of small writes is millions of versions, so one is a few numbers without a pointer, of which the collector reads
// nothing, and they are in pieces, so that neither growing nor dropping the oldest copies what stays.
type changeLog struct {
	first  types.Version
	pieces [][]changeNote // all but the last are full
	passed int            // so many notes at the begin of the first piece are dropped
	wide   map[types.Version]versionRecord
	bytes  int64
	txns   txnSet // of the versions: a late repetition of a part must not touch theirs
}

// changeNote is the record of a version that has one small part, in a run.
type changeNote struct {
	txn   types.TxnID
	atMs  int64
	run   types.Version
	bytes int64 // of the part; wideNote = the record says more, and is in wide
}

const (
	wideNote = -1
	// changePiece is how many notes are a piece.
	changePiece = 256
)

func newChangeLog(first types.Version) changeLog {
	return changeLog{first: first, txns: txnSet{}}
}

// len is how many versions there are.
func (c *changeLog) len() int {
	n := len(c.pieces)
	if n == 0 {
		return 0
	}
	return (n-1)*changePiece + len(c.pieces[n-1]) - c.passed
}

// note returns what is noted of the i-th version.
func (c *changeLog) note(i int) *changeNote {
	i += c.passed
	return &c.pieces[i/changePiece][i%changePiece]
}

func (c *changeLog) append(v types.Version, rec versionRecord) {
	if want := c.first + types.Version(c.len()); v != want {
		panic(fmt.Sprintf("BUG: change set of version %d after %d", v, want-1))
	}
	n := changeNote{txn: rec.Txn, atMs: rec.AtMs, run: rec.run, bytes: wideNote}
	if rec.narrow() {
		n.bytes = rec.Parts[0].Bytes
	} else {
		if c.wide == nil {
			c.wide = make(map[types.Version]versionRecord)
		}
		rec.Parts = slices.Clone(rec.Parts) // they may lie in a transaction, whose payloads would stay as long as the record
		c.wide[v] = rec
	}
	last := len(c.pieces) - 1
	switch {
	case last < 0:
		c.pieces = append(c.pieces, nil) // that of a tablet of few versions grows
		last = 0
	case len(c.pieces[last]) == changePiece:
		c.pieces = append(c.pieces, make([]changeNote, 0, changePiece))
		last++
	}
	c.pieces[last] = append(c.pieces[last], n)
	c.bytes += rec.bytes()
	c.txns.add(rec.Txn)
}

// narrow reports whether a note says all of the record.
func (r *versionRecord) narrow() bool {
	return r.run != 0 && len(r.Bulk) == 0 && len(r.Parts) == 1 && r.Parts[0] == partEntry{Bytes: r.Parts[0].Bytes}
}

func (c *changeLog) has(v types.Version) bool {
	return v >= c.first && v < c.first+types.Version(c.len())
}

// record returns the record of a version that is there.
func (c *changeLog) record(v types.Version) versionRecord {
	n := c.note(int(v - c.first))
	if n.bytes == wideNote {
		return c.wide[v]
	}
	return versionRecord{Txn: n.txn, Parts: []partEntry{{Bytes: n.bytes}}, AtMs: n.atMs, run: n.run}
}

// bytesOf returns how large the change set of a version is that is there.
func (c *changeLog) bytesOf(v types.Version) int64 {
	n := c.note(int(v - c.first))
	if n.bytes == wideNote {
		rec := c.wide[v]
		return rec.bytes()
	}
	return n.bytes
}

// expired returns how many of the oldest versions retention no longer asks for; versions above keep stay.
func (c *changeLog) expired(r Retention, keep types.Version, now time.Time) int {
	n, all := 0, c.len()
	bytes := c.bytes
	oldest := now.Add(-r.Age).UnixMilli()
	for n < all && c.first+types.Version(n) <= keep {
		if bytes <= r.Bytes && (all-n <= r.Versions || c.note(n).atMs >= oldest) {
			break
		}
		bytes -= c.bytesOf(c.first + types.Version(n))
		n++
	}
	return n
}

// drop takes the oldest n versions out.
func (c *changeLog) drop(n int) []versionRecord {
	if n == 0 {
		return nil // which is what happens once a second
	}
	out := make([]versionRecord, n)
	for i := range out {
		v := c.first + types.Version(i)
		out[i] = c.record(v)
		c.bytes -= out[i].bytes()
		c.txns.remove(out[i].Txn)
		delete(c.wide, v)
	}
	c.first += types.Version(n)
	c.passed += n
	if full := min(c.passed/changePiece, len(c.pieces)); full > 0 {
		c.pieces = slices.Delete(c.pieces, 0, full)
		c.passed -= full * changePiece
	}
	if c.len() == 0 {
		c.pieces, c.passed = nil, 0
	}
	return out
}

// txnSet is a set of transactions: 64 ids that follow one another are the bits of one entry. Ids are drawn in order, so what a write
// looks up and adds is mostly in an entry that the one before it has used, however many there are.
type txnSet map[types.TxnID]uint64

func (s txnSet) add(id types.TxnID)      { s[id/64] |= 1 << (id % 64) }
func (s txnSet) has(id types.TxnID) bool { return s[id/64]&(1<<(id%64)) != 0 }

func (s txnSet) remove(id types.TxnID) {
	if rest := s[id/64] &^ (1 << (id % 64)); rest != 0 {
		s[id/64] = rest
		return
	}
	delete(s, id/64)
}
