package catalog

import (
	"cmp"
	"iter"
	"slices"

	"stele/meta/types"
)

// Bounds of the transaction log.
const (
	// MaxTxnRecords bounds the outcomes that are kept. At it, the oldest is forgotten though somebody may still ask;
	// he is told OutcomeUnknown and keeps what he has.
	MaxTxnRecords = 1 << 18
	// maxTxnMarks bounds the clock marks; at it, every other one goes, which only delays an expiry.
	maxTxnMarks = 1024
	// maxTxnGapMs is more than goes by between two ExpireTxns of a leading FE, which come twice a minute.
	maxTxnGapMs = 10 * 60 * 1000
	// expireStep bounds the records that one ExpireTxns looks at.
	expireStep = 1 << 16
)

// Outcome is what became of a transaction.
type Outcome uint8

// Outcomes.
const (
	// OutcomeUndecided: it may still commit. Keep its pending rowset.
	OutcomeUndecided Outcome = iota
	// OutcomeCommitted: publish its rowset at the version given.
	OutcomeCommitted
	// OutcomeAborted: drop its pending rowset. Also the answer for a transaction whose commit is forgotten because
	// every complete replica has it durably: whoever still holds it pending is not complete and is filled by a clone.
	OutcomeAborted
	// OutcomeUnknown: this catalog cannot tell. Keep the rowset until the replica is past it by other means.
	OutcomeUnknown
)

func (o Outcome) String() string {
	return [...]string{"UNDECIDED", "COMMITTED", "ABORTED", "UNKNOWN"}[o]
}

// txnMark says that the ids below End had been drawn at TimeMs.
type txnMark struct {
	End    types.TxnID `cbor:"1,keyasint"`
	TimeMs int64       `cbor:"2,keyasint"`
}

// txnLog knows of every transaction id ever drawn whether it is decided. Ids below next are drawn; those below floor
// are all decided; above it decided holds the decided ones as ranges [start, end), which grow together as the holes
// close. The outcome itself is in records for as long as somebody may ask for it (see expire).
type txnLog struct {
	next    types.TxnID
	floor   types.TxnID
	lost    types.TxnID // the highest transaction that was forgotten at the bound, 0 = none
	cursor  types.TxnID // where the next expire goes on
	marks   []txnMark   // by End; never changed in place
	decided tree[types.TxnID, types.TxnID]
	records txnRecords
}

func newTxnLog() txnLog {
	return txnLog{
		next:    firstTxn,
		floor:   firstTxn,
		decided: newTree[types.TxnID, types.TxnID](cmp.Compare),
		records: newTxnRecords(),
	}
}

func (l *txnLog) isDecided(id types.TxnID) bool {
	if id < l.floor {
		return true
	}
	_, end, ok := l.decided.floor(id)
	return ok && id < end
}

// draw hands out n ids at a time.
func (l *txnLog) draw(n uint64, timeMs int64) types.TxnID {
	first := l.next
	l.next += types.TxnID(n)
	marks := slices.Clone(l.marks)
	last := len(marks) - 1
	switch {
	case last >= 0 && timeMs <= marks[last].TimeMs: // a clock that stands or goes back: keep the order
		marks[last].End = l.next
	case last >= 0 && timeMs/1000 == marks[last].TimeMs/1000:
		marks[last] = txnMark{End: l.next, TimeMs: timeMs}
	default:
		marks = append(marks, txnMark{End: l.next, TimeMs: timeMs})
	}
	l.marks = fewer(marks)
	return first
}

// note marks the present moment by the clock of the leading FE. Ids that are drawn from here on count as drawn no earlier, also by an FE whose clock
// is behind, and those that were drawn before as drawn no later. More than maxTxnGapMs since the last mark is no time that a transaction was open
// for, but a clock that was set, another one, or a cluster that nobody led: all marks go along.
func (l *txnLog) note(nowMs int64) {
	marks := slices.Clone(l.marks)
	for len(marks) > 1 && marks[0].End <= l.floor { // of decided ids
		marks = marks[1:]
	}
	if last := len(marks) - 1; last >= 0 {
		gap := nowMs - marks[last].TimeMs
		for i := range marks {
			if gap > maxTxnGapMs {
				marks[i].TimeMs += gap
			}
			marks[i].TimeMs = min(marks[i].TimeMs, nowMs)
		}
	}
	l.marks = fewer(append(marks, txnMark{End: l.next, TimeMs: nowMs}))
}

// fewer leaves marks out where there are too many.
func fewer(marks []txnMark) []txnMark {
	if len(marks) > maxTxnMarks {
		kept := marks[:0]
		for i, m := range marks {
			if i%2 == 1 || i == len(marks)-1 {
				kept = append(kept, m)
			}
		}
		marks = kept
	}
	return marks
}

// decide records the outcome of an undecided transaction.
func (l *txnLog) decide(o *owner, id types.TxnID, rec txnRecord) {
	start, end := id, id+1
	if s, e, ok := l.decided.floor(id); ok && e == id {
		start = s
	}
	if e, ok := l.decided.get(end); ok {
		l.decided = l.decided.del(o, end)
		end = e
	}
	l.decided = l.decided.set(o, start, end)
	l.records.set(o, id, rec)
	if l.records.len() > MaxTxnRecords {
		if oldest, _, ok := l.records.notes.first(); ok {
			l.records.del(o, oldest)
			l.lost = max(l.lost, oldest)
		}
	}
}

// raiseFloor decides everything that was drawn at or before timeMs.
func (l *txnLog) raiseFloor(o *owner, timeMs int64) (aborted uint64) {
	i := 0
	for i < len(l.marks) && l.marks[i].TimeMs <= timeMs {
		i++
	}
	if i == 0 || l.marks[i-1].End <= l.floor {
		return 0
	}
	floor := l.marks[i-1].End
	l.marks = slices.Clone(l.marks[i:])
	aborted = uint64(floor - l.floor)
	var gone []types.TxnID
	for start, end := range l.decided.all() {
		if start >= floor {
			break
		}
		gone = append(gone, start)
		aborted -= uint64(min(end, floor) - max(start, l.floor))
		if end > floor {
			l.decided = l.decided.set(o, floor, end)
		}
	}
	for _, start := range gone {
		l.decided = l.decided.del(o, start)
	}
	l.floor = floor
	return aborted
}

// Outcome tells a BE that holds a pending rowset of txn for tablet what became of it.
func (c *Catalog) Outcome(txn types.TxnID, tablet types.TabletID) (Outcome, types.Version) {
	if note, ok := c.txns.records.notes.get(txn); ok {
		var room [1]TabletVersion
		for _, tv := range c.txns.records.tablets(room[:0], txn, note) {
			if tv.Tablet == tablet {
				return OutcomeCommitted, tv.Version
			}
		}
		return OutcomeAborted, 0
	}
	switch {
	case txn >= c.txns.next || txn <= c.txns.lost:
		return OutcomeUnknown, 0
	case c.txns.isDecided(txn):
		return OutcomeAborted, 0
	}
	return OutcomeUndecided, 0
}

// TxnTablets returns where a committed transaction landed, for as long as that is remembered.
func (c *Catalog) TxnTablets(txn types.TxnID) ([]TabletVersion, bool) {
	rec, ok := c.txns.records.get(txn)
	if !ok || rec.Aborted {
		return nil, false
	}
	return rec.Tablets, true
}

// TxnFloor returns the id below which every transaction is decided.
func (c *Catalog) TxnFloor() types.TxnID { return c.txns.floor }

// TxnRecordCount returns how many outcomes are remembered.
func (c *Catalog) TxnRecordCount() int { return c.txns.records.len() }

// settled reports whether nobody can ask any more for the outcome that made version v of the tablet: every complete
// replica has it durably. Where no replica is complete, every follower must have it, as any of them may be the one
// that the data is saved from.
func (c *Catalog) settled(id types.TabletID, v types.Version) bool {
	t, ok := c.tablets.get(id)
	if !ok {
		return true
	}
	complete, lowest, lowestOfAll := false, types.Version(maxCounter), types.Version(maxCounter)
	for i := range t.Replicas {
		r := &t.Replicas[i]
		if r.Complete() {
			complete, lowest = true, min(lowest, r.Settled)
		}
		if r.Role == types.RoleFollower {
			lowestOfAll = min(lowestOfAll, r.Settled)
		}
	}
	if complete {
		return lowest >= v
	}
	return lowestOfAll >= v
}

// forget drops outcomes that are older than beforeMs and settled in every tablet.
func (d *draft) forget(beforeMs int64) (forgotten int) {
	l := &d.txns
	var gone []types.TxnID
	seen, next := 0, types.TxnID(0)
	var room [1]TabletVersion
	for id, note := range l.records.notes.from(l.cursor) {
		if seen == expireStep {
			next = id
			break
		}
		seen++
		if note.timeMs > beforeMs {
			continue
		}
		tablets := l.records.tablets(room[:0], id, note)
		keep := slices.ContainsFunc(tablets, func(tv TabletVersion) bool { return !d.settled(tv.Tablet, tv.Version) })
		if !keep {
			gone = append(gone, id)
		}
	}
	for _, id := range gone {
		l.records.del(d.o, id)
	}
	l.cursor = next
	return len(gone)
}

// CommittedTxn is a committed transaction whose outcome is remembered still.
type CommittedTxn struct {
	ID      types.TxnID
	TimeMs  int64
	Tablets []TabletVersion
}

// Committed yields the committed transactions that are remembered still, oldest first.
func (c *Catalog) Committed() iter.Seq[CommittedTxn] {
	return func(yield func(CommittedTxn) bool) {
		for id, rec := range c.txns.records.all() {
			if !rec.Aborted && !yield(CommittedTxn{ID: id, TimeMs: rec.TimeMs, Tablets: rec.Tablets}) {
				return
			}
		}
	}
}
