package tablet

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/fxamacker/cbor/v2"
	"github.com/zeebo/xxh3"

	"stele/be/tablet/kv"
	"stele/meta/types"
	"stele/sql/rowset"
)

// Keys; integers are big-endian. uid is the incarnation of a tablet on this disk: a create or a clone draws a new one and
// none is ever used twice, so that replacing and dropping are one change of T and deletion can wait.
//
//	meta: S                              superblock
//	      T tablet(8)                    which incarnation is the tablet, its schema, epoch and state
//	      M uid(8)                       manifest: version, rowsets
//	      X uid(8) rowset(8)             delete vector of a rowset at the manifest's version
//	      V uid(8) version(8)            a committed version: the transaction that made it, and what its parts are; or a run of them with their parts
//	      R tablet(8)                    an unfinished import: which rowsets of its source it has
//	      P uid(8) txn(8) part(4)        a part of a pending, replayable or retained transaction, unless V has it
//	data: c uid(8) rowset(8) group(4)    row group
//	      i uid(8) rowset(8)             index of a rowset: its row groups
//	      p uid(8) txn(8) part(4)        a large part, or the record of one whose rows are in a rowset
const (
	kSuper     = 'S'
	kTablet    = 'T'
	kManifest  = 'M'
	kDeletes   = 'X'
	kVersion   = 'V'
	kImport    = 'R'
	kPart      = 'P'
	kGroup     = 'c'
	kIndex     = 'i'
	kLargePart = 'p'
)

// longestKey is how many bytes a key has at most.
const longestKey = 1 + 8 + 8 + 4

func key1(kind byte, a uint64) []byte {
	return binary.BigEndian.AppendUint64(append(make([]byte, 0, longestKey), kind), a)
}

func key2(kind byte, a, b uint64) []byte {
	return binary.BigEndian.AppendUint64(key1(kind, a), b)
}

func key3(kind byte, a, b uint64, c uint32) []byte {
	return binary.BigEndian.AppendUint32(key2(kind, a, b), c)
}

func groupKey(id rowset.GroupID) []byte { return key3(kGroup, id.UID, id.Rowset, id.Group) }

// partKey returns the key of a part; large parts are in data.
func partKey(uid uint64, txn types.TxnID, part int, large bool) []byte {
	kind := byte(kPart)
	if large {
		kind = kLargePart
	}
	return key3(kind, uid, uint64(txn), uint32(part))
}

// keyUint reads the n-th integer of 8 bytes of a key.
func keyUint(key []byte, n int) uint64 {
	if len(key) < 1+8*(n+1) {
		return 0
	}
	return binary.BigEndian.Uint64(key[1+8*n:])
}

// seal returns body with an XXH3 over key and body: the identity of a value is its key (B1).
func seal(key, body []byte) []byte { return sealHere(key, sealable(body)) }

// sealable returns a copy of body that sealHere seals where it is.
func sealable(body []byte) []byte { return append(make([]byte, 0, len(body)+sealBytes), body...) }

// sealBytes is what seal adds.
const sealBytes = 8

// sealHere is seal in the memory behind body.
func sealHere(key, body []byte) []byte {
	return binary.LittleEndian.AppendUint64(body, xxh3.HashSeed(body, xxh3.Hash(key)))
}

// unseal returns the body of a sealed value, aliasing it.
func unseal(key, val []byte) ([]byte, error) {
	n := len(val) - 8
	if n < 0 || xxh3.HashSeed(val[:n], xxh3.Hash(key)) != binary.LittleEndian.Uint64(val[n:]) {
		return nil, fmt.Errorf("value of %d bytes under key %x: %w", len(val), key, ErrCorrupt)
	}
	return val[:n], nil
}

// sumOf returns the checksum of a sealed value.
func sumOf(val []byte) uint64 { return binary.LittleEndian.Uint64(val[len(val)-8:]) }

// sealed returns the entry that stores record, as CBOR, under key.
func sealed(key []byte, record any) kv.Entry {
	body, err := cbor.Marshal(record)
	if err != nil {
		panic(fmt.Sprintf("BUG: encode record of key %x: %v", key, err))
	}
	return kv.Entry{Key: key, Value: seal(key, body)}
}

// records decodes records: a delete vector may have as many entries as a rowset has rows, which is more than CBOR's bound
// for what comes from strangers. What is decoded here carries our checksum.
var records = func() cbor.DecMode {
	m, err := cbor.DecOptions{MaxArrayElements: math.MaxInt32}.DecMode()
	if err != nil {
		panic("BUG: options of CBOR: " + err.Error())
	}
	return m
}()

// openRecord decodes a sealed CBOR value into record.
func openRecord(key, val []byte, record any) error {
	body, err := unseal(key, val)
	if err != nil {
		return err
	}
	if err := records.Unmarshal(body, record); err != nil {
		return fmt.Errorf("record of key %x: %w: %w", key, ErrCorrupt, err)
	}
	return nil
}

// openScanned is openRecord of what a scan has found, which may be a value that it could not read.
func openScanned(key, val []byte, unread error, record any) error {
	if unread != nil {
		return unread
	}
	return openRecord(key, val, record)
}

// loadRecord reads a record that must exist: absence is damage too (B3).
func loadRecord(db *kv.DB, key []byte, record any) error {
	err := db.View(key, func(val []byte) error { return openRecord(key, val, record) })
	return missingIsCorrupt(key, err)
}

// super is the record S.
type super struct {
	Format  int             `cbor:"1,keyasint"`
	Disk    types.DiskID    `cbor:"2,keyasint"`
	Cluster types.ClusterID `cbor:"3,keyasint"`
	NextUID uint64          `cbor:"4,keyasint"`
}

// tabletRecord is the record T.
type tabletRecord struct {
	UID       uint64 `cbor:"1,keyasint"`
	Meta      Meta   `cbor:"2,keyasint"`
	Bad       bool   `cbor:"3,keyasint,omitempty"`
	BadReason string `cbor:"4,keyasint,omitempty"`
}

// manifest is the record M: what must exist, and the version up to which rowsets hold everything.
type manifest struct {
	Version    types.Version `cbor:"1,keyasint"`
	Rowsets    []rowsetEntry `cbor:"2,keyasint,omitempty"`
	NextRowset uint64        `cbor:"3,keyasint"`
	LiveRows   int64         `cbor:"4,keyasint"`
	ReadFrom   types.Version `cbor:"5,keyasint"` // oldest version that rowsets can still show
	Digest     *DigestPoint  `cbor:"6,keyasint,omitempty"`
	// Of says whose it is: the record T names the incarnation, and when that is lost, this is what tells (lost.go). Older releases did not
	// write it.
	Of *owner `cbor:"7,keyasint,omitempty"`
}

// bytes is how much the rowsets take.
func (m *manifest) bytes() (n int64) {
	for i := range m.Rowsets {
		n += m.Rowsets[i].Bytes
	}
	return n
}

// owner is the replica that an incarnation is of; it never changes.
type owner struct {
	Tablet    types.TabletID    `cbor:"1,keyasint"`
	Table     types.TableID     `cbor:"2,keyasint"`
	Partition types.PartitionID `cbor:"3,keyasint"`
	Replica   types.ReplicaID   `cbor:"4,keyasint"`
}

// rowsetEntry is a rowset as its manifest names it.
type rowsetEntry struct {
	ID    uint64 `cbor:"1,keyasint"`
	Rows  uint32 `cbor:"2,keyasint"`
	Bytes int64  `cbor:"3,keyasint"`
	// Deletes is the checksum of the record X, 0 when there is none: X is rewritten, and when damage hides the newest one
	// an older one, sound in itself, comes to light.
	Deletes uint64 `cbor:"4,keyasint,omitempty"`
	// Created is the version that created all rows of it, 0 when each row says so itself.
	Created types.Version `cbor:"5,keyasint,omitempty"`
}

// groupEntry is a row group as the index of its rowset names it.
type groupEntry struct {
	Rows       uint32        `cbor:"1,keyasint"`
	Bytes      int64         `cbor:"2,keyasint"`
	MinKey     []byte        `cbor:"3,keyasint"`
	MaxKey     []byte        `cbor:"4,keyasint"`
	MaxVersion types.Version `cbor:"5,keyasint"`
}

// rowsetIndex is the record i.
type rowsetIndex struct {
	Groups []groupEntry `cbor:"1,keyasint"`
}

// versionRecord is the record V.
type versionRecord struct {
	Txn   types.TxnID `cbor:"1,keyasint"`
	Parts []partEntry `cbor:"2,keyasint"`
	AtMs  int64       `cbor:"3,keyasint"`
	Bulk  []bulkEntry `cbor:"4,keyasint,omitempty"` // rowsets that hold the rows, when it is a large one

	run types.Version // under whose key the record is, and the parts in it (run.go); 0 = they are apart
}

// partEntry is a stored part of a transaction.
type partEntry struct {
	Bytes int64 `cbor:"1,keyasint"`
	Large bool  `cbor:"2,keyasint,omitempty"`
	// Rowset holds the rows when the part came as row groups, 0 when the part itself does.
	Rowset uint64 `cbor:"3,keyasint,omitempty"`
}

// deletesRecord is the record X.
type deletesRecord struct {
	Base     []byte   `cbor:"1,keyasint,omitempty"` // a roaring bitmap
	Versions []uint64 `cbor:"2,keyasint,omitempty"`
	Rows     []uint32 `cbor:"3,keyasint,omitempty"`
}
