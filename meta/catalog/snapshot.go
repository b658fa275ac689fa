package catalog

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"

	"github.com/fxamacker/cbor/v2"

	"stele/meta/command/canon"
	"stele/meta/types"
)

// A snapshot is a stream:
//
//	"STLCAT" 0 version         8 bytes
//	{kind, length, body}…      1 byte, 32 bits big endian, CBOR; in the order of WriteSnapshot and of the trees
//	{0, 8, count, checksum}    the number of records and CRC-32C of everything before this record
//
// The same catalog gives the same bytes on every FE, so that two FEs can be compared by their snapshots.
const (
	snapshotMagic   = "STLCAT\x00"
	snapshotVersion = 1
	maxRecord       = 256 << 20
)

// ErrCorruptSnapshot is wrapped by every error about a damaged snapshot.
var ErrCorruptSnapshot = errors.New("corrupt catalog snapshot")

// ErrNewerSnapshot is wrapped by the error about a snapshot of a newer format.
var ErrNewerSnapshot = errors.New("catalog snapshot of a newer format: upgrade this FE")

var errUnknownKind = errors.New("unknown kind of record")

// Record kinds. The numbers are in snapshots: append, never renumber.
const (
	kindEnd uint8 = iota
	kindHead
	kindDatabase
	kindTable
	kindTablet
	kindCounters
	kindBE
	kindFE
	kindConfig
	kindHint
	kindOp
	kindUser
	kindDecided
	kindTxn
	kindTask
	kindTried
	kindRedo
	kindView
	kindLocks
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type headRecord struct {
	Index     uint64          `cbor:"1,keyasint"`
	Cluster   types.ClusterID `cbor:"2,keyasint"`
	CreatedMs int64           `cbor:"3,keyasint"`
	Leader    LeaderNote      `cbor:"4,keyasint"`
	NextID    uint64          `cbor:"5,keyasint"`
	NextTxn   types.TxnID     `cbor:"6,keyasint"`
	Floor     types.TxnID     `cbor:"7,keyasint"`
	Lost      types.TxnID     `cbor:"8,keyasint"`
	Cursor    types.TxnID     `cbor:"9,keyasint"`
	Marks     []txnMark       `cbor:"10,keyasint,omitempty"`
	Restore   *Restore        `cbor:"11,keyasint,omitempty"`
	Passed    uint64          `cbor:"12,keyasint,omitempty"`
}

type countersRecord struct {
	Table types.TableID `cbor:"1,keyasint"`
	Next  tableCounters `cbor:"2,keyasint"`
}

type configRecord struct {
	Key   string `cbor:"1,keyasint"`
	Value string `cbor:"2,keyasint"`
}

type taskRecord struct {
	N    uint64 `cbor:"1,keyasint"`
	Task Task   `cbor:"2,keyasint"`
}

type rangeRecord struct {
	Start types.TxnID `cbor:"1,keyasint"`
	End   types.TxnID `cbor:"2,keyasint"`
}

// redoRecord is one version of a tablet. A list within the tablet's record could be as deep as there are versions.
type redoRecord struct {
	Tablet  types.TabletID `cbor:"1,keyasint"`
	Version types.Version  `cbor:"2,keyasint"`
	Txn     types.TxnID    `cbor:"3,keyasint"`
	Parts   [][]byte       `cbor:"4,keyasint"`
	Schema  uint32         `cbor:"5,keyasint,omitempty"`
}

type txnEntry struct {
	ID     types.TxnID `cbor:"1,keyasint"`
	Record txnRecord   `cbor:"2,keyasint"`
}

// snapshotWriter counts and checksums what it writes; the first error sticks.
type snapshotWriter struct {
	w    *bufio.Writer
	head []byte // room for that of a record
	sum  uint32
	n    uint32
	err  error
}

func (s *snapshotWriter) raw(b []byte) {
	if s.err == nil {
		s.sum = crc32.Update(s.sum, castagnoli, b)
		_, s.err = s.w.Write(b)
	}
}

func (s *snapshotWriter) record(kind uint8, v any) bool {
	if s.err != nil {
		return false
	}
	body, err := canon.Enc.Marshal(v)
	if err != nil {
		s.err = err
		return false
	}
	s.body(kind, body)
	return s.err == nil
}

// body writes a record as it is encoded.
func (s *snapshotWriter) body(kind uint8, body []byte) {
	s.head = binary.BigEndian.AppendUint32(append(s.head[:0], kind), uint32(len(body)))
	s.raw(s.head)
	s.raw(body)
	s.n++
}

// WriteSnapshot writes the catalog as a checksummed stream.
func (c *Catalog) WriteSnapshot(w io.Writer) error {
	s := &snapshotWriter{w: bufio.NewWriterSize(w, 1<<18)}
	s.raw(append([]byte(snapshotMagic), snapshotVersion))
	s.record(kindHead, headRecord{
		Index: c.index, Cluster: c.cluster, CreatedMs: c.createdMs, Leader: c.leader, NextID: c.nextID,
		NextTxn: c.txns.next, Floor: c.txns.floor, Lost: c.txns.lost, Cursor: c.txns.cursor, Marks: c.txns.marks,
		Restore: c.restore, Passed: c.passed,
	})
	c.writeObjects(s)
	for start, end := range c.txns.decided.all() {
		s.record(kindDecided, rangeRecord{start, end})
	}
	c.writeTxns(s)
	c.writeRedo(s)
	tail := binary.BigEndian.AppendUint32([]byte{kindEnd, 0, 0, 0, 8}, s.n)
	tail = binary.BigEndian.AppendUint32(tail, s.sum)
	s.raw(tail)
	if s.err == nil {
		s.err = s.w.Flush()
	}
	if s.err != nil {
		return fmt.Errorf("write catalog snapshot: %w", s.err)
	}
	return nil
}

func (c *Catalog) writeObjects(s *snapshotWriter) {
	writeAll(s, kindDatabase, c.dbs)
	writeAll(s, kindTable, c.tables)
	writeAll(s, kindTablet, c.tablets)
	for id, n := range c.counters.all() {
		s.record(kindCounters, countersRecord{id, n})
	}
	writeAll(s, kindBE, c.bes)
	writeAll(s, kindFE, c.fes)
	for k, v := range c.config.all() {
		s.record(kindConfig, configRecord{k, v})
	}
	writeAll(s, kindHint, c.hints)
	writeAll(s, kindOp, c.ops)
	writeAll(s, kindUser, c.users)
	for id, t := range c.tasks.all() {
		s.record(kindTask, taskRecord{id, *t})
	}
	writeAll(s, kindTried, c.tried)
	writeAll(s, kindView, c.views)
	for _, l := range c.locks {
		s.record(kindLocks, l)
	}
}

// writeTxns writes the records of transactions. They are most of a snapshot behind many small writes, so those on one tablet are encoded
// by hand.
func (c *Catalog) writeTxns(s *snapshotWriter) {
	var body []byte
	for id, note := range c.txns.records.notes.all() {
		if note.tablet == manyTablets || note.aborted() || note.timeMs < 0 {
			s.record(kindTxn, txnEntry{id, c.txns.records.record(id, note)})
			continue
		}
		body = note.append(body[:0], id)
		s.body(kindTxn, body)
	}
}

// append appends what canon.Enc makes of the txnEntry of a transaction on one tablet.
func (n txnNote) append(body []byte, id types.TxnID) []byte {
	const mapOfTwo, arrayOfOne, uintAt = 0xa2, 0x81, 0x00
	body = appendUint(append(body, mapOfTwo, uintAt+1), uint64(id))
	body = appendUint(append(body, uintAt+2, mapOfTwo, uintAt+1), uint64(n.timeMs))
	body = appendUint(append(body, uintAt+3, arrayOfOne, mapOfTwo, uintAt+1), uint64(n.tablet))
	return appendUint(append(body, uintAt+2), uint64(n.version))
}

// appendUint appends a number as CBOR has it, in as few bytes as it takes.
func appendUint(body []byte, v uint64) []byte {
	switch {
	case v < 24:
		return append(body, byte(v))
	case v <= math.MaxUint8:
		return append(body, 24, byte(v))
	case v <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(body, 25), uint16(v))
	case v <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(body, 26), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(body, 27), v)
}

func writeAll[K, V any](s *snapshotWriter, kind uint8, t tree[K, V]) {
	for _, v := range t.all() {
		if !s.record(kind, v) {
			return
		}
	}
}

// ReadSnapshot reads what WriteSnapshot wrote. Damage of any kind is an error that wraps ErrCorruptSnapshot.
func ReadSnapshot(r io.Reader) (*Catalog, error) {
	br := bufio.NewReaderSize(r, 1<<18)
	var head [len(snapshotMagic) + 1]byte
	if _, err := io.ReadFull(br, head[:]); err != nil {
		return nil, fmt.Errorf("%w: header: %w", ErrCorruptSnapshot, err)
	}
	if string(head[:len(snapshotMagic)]) != snapshotMagic {
		return nil, fmt.Errorf("%w: no header", ErrCorruptSnapshot)
	}
	if v := head[len(snapshotMagic)]; v != snapshotVersion {
		return nil, fmt.Errorf("%w (format %d, this binary reads %d)", ErrNewerSnapshot, v, snapshotVersion)
	}
	d := &draft{Catalog: *New(), o: &owner{}}
	sum := crc32.Update(0, castagnoli, head[:])
	var buf []byte
	var unknown error // of a newer binary if the checksum holds, else damage
	for n := uint32(0); ; n++ {
		kind, body, err := readRecord(br, &buf)
		if err != nil {
			return nil, err
		}
		if kind == kindEnd {
			if len(body) != 8 || binary.BigEndian.Uint32(body) != n || binary.BigEndian.Uint32(body[4:]) != sum {
				return nil, fmt.Errorf("%w: checksum or record count differs", ErrCorruptSnapshot)
			}
			if unknown != nil {
				return nil, unknown
			}
			return &d.Catalog, nil
		}
		sum = crc32.Update(sum, castagnoli, binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(body))))
		sum = crc32.Update(sum, castagnoli, body)
		err = d.load(kind, body)
		if field := (*cbor.UnknownFieldError)(nil); errors.As(err, &field) || errors.Is(err, errUnknownKind) {
			unknown = fmt.Errorf("%w: record %d of kind %d: %w", ErrNewerSnapshot, n, kind, err)
		} else if err != nil {
			return nil, fmt.Errorf("%w: record %d of kind %d: %w", ErrCorruptSnapshot, n, kind, err)
		}
	}
}

// readRecord reads one record; body is valid until the next call.
func readRecord(br *bufio.Reader, buf *[]byte) (kind uint8, body []byte, err error) {
	var h [5]byte
	if _, err := io.ReadFull(br, h[:]); err != nil {
		return 0, nil, fmt.Errorf("%w: truncated: %w", ErrCorruptSnapshot, err)
	}
	size := binary.BigEndian.Uint32(h[1:])
	if size > maxRecord {
		return 0, nil, fmt.Errorf("%w: record of %d bytes", ErrCorruptSnapshot, size)
	}
	// Damage may claim any size: grow with what really arrives.
	*buf = (*buf)[:0]
	for len(*buf) < int(size) {
		step := min(int(size)-len(*buf), 1<<20)
		at := len(*buf)
		*buf = append(*buf, make([]byte, step)...)
		if _, err := io.ReadFull(br, (*buf)[at:]); err != nil {
			return 0, nil, fmt.Errorf("%w: truncated: %w", ErrCorruptSnapshot, err)
		}
	}
	return h[0], *buf, nil
}

// load takes one record in. The indexes that a snapshot does not hold are made anew.
func (d *draft) load(kind uint8, body []byte) error {
	switch kind {
	case kindHead:
		var h headRecord
		if err := canon.Dec.Unmarshal(body, &h); err != nil {
			return err
		}
		d.index, d.cluster, d.createdMs, d.leader, d.nextID = h.Index, h.Cluster, h.CreatedMs, h.Leader, h.NextID
		d.txns.next, d.txns.floor, d.txns.lost, d.txns.cursor, d.txns.marks = h.NextTxn, h.Floor, h.Lost, h.Cursor, h.Marks
		d.restore, d.passed = h.Restore, h.Passed
		return nil
	case kindDatabase:
		return loadOne(body, func(v *Database) {
			d.dbs = d.dbs.set(d.o, v.ID, v)
			d.dbNames = d.dbNames.set(d.o, v.Name, v.ID)
		})
	case kindTable:
		var twice error
		err := loadOne(body, func(v *Table) {
			d.tables = d.tables.set(d.o, v.ID, v)
			if v.Named() {
				d.tableNames = d.tableNames.set(d.o, tableName{v.DatabaseID, v.Name}, v.ID)
			}
			for i := range v.Parts {
				d.parts = d.parts.set(d.o, v.Parts[i].ID, v.ID)
			}
			twice = d.noteForeignKeys(v)
		})
		return cmp.Or(err, twice)
	case kindTablet:
		return loadOne(body, d.putTablet)
	case kindCounters:
		return loadOne(body, func(v *countersRecord) { d.counters = d.counters.set(d.o, v.Table, v.Next) })
	default:
		return d.loadRest(kind, body)
	}
}

func (d *draft) loadRest(kind uint8, body []byte) error {
	switch kind {
	case kindBE:
		return loadOne(body, func(v *BE) { d.bes = d.bes.set(d.o, v.ID, v) })
	case kindFE:
		return loadOne(body, func(v *FE) { d.fes = d.fes.set(d.o, v.ID, v) })
	case kindConfig:
		return loadOne(body, func(v *configRecord) { d.config = d.config.set(d.o, v.Key, v.Value) })
	case kindHint:
		return loadOne(body, func(v *RepairHint) { d.hints = d.hints.set(d.o, v.Partition, v) })
	case kindOp:
		return loadOne(body, func(v *Op) { d.ops = d.ops.set(d.o, v.ID, v) })
	case kindUser:
		return loadOne(body, func(v *User) { d.users = d.users.set(d.o, userName{v.Name, v.Host}, v) })
	case kindTask:
		return loadOne(body, func(v *taskRecord) { d.tasks = d.tasks.set(d.o, v.N, &v.Task) })
	case kindTried:
		return loadOne(body, func(v *Task) { d.tried = d.tried.set(d.o, v.Tablet, v) })
	case kindView:
		return loadOne(body, func(v *View) {
			d.views = d.views.set(d.o, v.ID, v)
			d.tableNames = d.tableNames.set(d.o, tableName{v.DatabaseID, v.Name}, v.ID)
		})
	case kindLocks:
		return loadOne(body, func(v *TableLocks) { d.locks = append(d.locks, v) })
	case kindDecided:
		return loadOne(body, func(v *rangeRecord) { d.txns.decided = d.txns.decided.set(d.o, v.Start, v.End) })
	case kindRedo:
		return d.loadRedo(body)
	case kindTxn:
		return loadOne(body, func(v *txnEntry) { d.txns.records.set(d.o, v.ID, v.Record) })
	}
	return errUnknownKind
}

func loadOne[T any](body []byte, put func(*T)) error {
	v := new(T)
	if err := canon.Dec.Unmarshal(body, v); err != nil {
		return err
	}
	put(v)
	return nil
}
