package tablet

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"stele/be/tablet/wire"
	"stele/meta/types"
)

// A small version has its parts in its record V, and there is no P. That halves what Badger is given, at publish and when retention
// drops the version. Parts that were durable as pending are deleted in the request that writes the record; of most of them Badger never
// hears (kv.Entry.New). Records that follow one another share a value (run.go).

const (
	// inlineBytes bounds the parts that are in a record: those of a durable transaction are written once more for it.
	inlineBytes = 4 << 10
	// inlineMagic begins a record with parts, and runMagic several of them, where others begin with the head of a CBOR map.
	inlineMagic = 0x49
	runMagic    = 0x4a
)

// goesInline reports whether the parts of a version are stored in its record. Those of a large transaction, which may be small if it only
// deletes, have not been read when it is published.
func (t *Tablet) goesInline(rec *versionRecord, payloads [][]byte) bool {
	if t.s.format() < inlineFormat || len(payloads) == 0 {
		return false
	}
	bytes := int64(0)
	for _, e := range rec.Parts {
		if bytes += e.Bytes; e.Large || e.Rowset != 0 || bytes > inlineBytes {
			return false
		}
	}
	return true
}

// appendInline appends the record of a version, with its parts, to a run, or to nil for a new one.
func appendInline(body []byte, rec *versionRecord, payloads [][]byte) []byte {
	if body == nil {
		size := 1 + (3+len(payloads))*binary.MaxVarintLen64 + sealBytes
		for _, p := range payloads {
			size += len(p)
		}
		body = append(make([]byte, 0, size), inlineMagic)
	}
	body = binary.AppendUvarint(body, uint64(rec.Txn))
	body = binary.AppendVarint(body, rec.AtMs)
	body = binary.AppendUvarint(body, uint64(len(payloads)))
	for _, p := range payloads {
		body = binary.AppendUvarint(body, uint64(len(p)))
		body = append(body, p...)
	}
	return body
}

// storedVersion is the record of a version as it is stored, and its parts if they are in it.
type storedVersion struct {
	rec      versionRecord
	payloads [][]byte
}

// openVersions reads the records of the versions from that of key on; what is in them aliases val.
func openVersions(key, val []byte) ([]storedVersion, error) {
	body, err := unseal(key, val)
	if err != nil {
		return nil, err
	}
	if len(body) == 0 || body[0] != inlineMagic && body[0] != runMagic {
		var one storedVersion
		if err := openRecord(key, val, &one.rec); err != nil {
			return nil, err
		}
		return []storedVersion{one}, nil
	}
	r := &wire.Reader{Src: body[1:]}
	first := types.Version(keyUint(key, 1))
	out := []storedVersion{openInline(r, first)}
	for body[0] == runMagic && len(r.Src) > 0 && r.Err == nil {
		out = append(out, openInline(r, first))
	}
	if r.Err != nil || len(r.Src) != 0 {
		return nil, fmt.Errorf("version record of key %x: %w", key, ErrCorrupt)
	}
	return out, nil
}

// openInline reads the next record of a run.
func openInline(r *wire.Reader, run types.Version) (out storedVersion) {
	out.rec = versionRecord{Txn: types.TxnID(r.Uvarint()), AtMs: r.Varint(), run: run}
	n := r.Uvarint()
	if n > uint64(len(r.Src)) {
		r.Err = ErrPayload
		return out
	}
	for range n {
		out.payloads = append(out.payloads, r.Take(r.Uvarint()))
	}
	noteParts(&out.rec, out.payloads)
	return out
}

// loadParts reads the parts of a version, wherever they are. What is in rowsets is made of them again, or left out. before is of who reads
// versions in order.
func (t *Tablet) loadParts(version types.Version, rec *versionRecord, leaveGrouped bool, before *storedRun) ([][]byte, error) {
	if rec.run == 0 {
		return t.loadApart(rec, leaveGrouped)
	}
	out, err := t.loadInline(version, rec, before)
	return out, missingIsCorrupt(key2(kVersion, t.uid, uint64(rec.run)), err)
}

func (t *Tablet) loadApart(rec *versionRecord, leaveGrouped bool) (out [][]byte, err error) {
	out = make([][]byte, len(rec.Parts))
	for i, e := range rec.Parts {
		if e.Rowset != 0 && leaveGrouped {
			continue
		}
		if out[i], err = t.loadPart(rec.Txn, i, e); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// loadInline reads the parts in the record of a version.
func (t *Tablet) loadInline(version types.Version, rec *versionRecord, before *storedRun) ([][]byte, error) {
	t.mu.RLock()
	run := t.runs[rec.run]
	t.mu.RUnlock()
	if run != nil {
		if parts := run.partsOf(version); parts != nil {
			return parts, nil
		}
	}
	if before.first != rec.run {
		if err := t.readRun(rec.run, before); err != nil {
			return nil, err
		}
	}
	at := int(version - rec.run)
	if at >= len(before.versions) || before.versions[at].rec.Txn != rec.Txn || len(before.versions[at].payloads) != len(rec.Parts) {
		return nil, fmt.Errorf("run of version %d has not the %d parts of txn %d: %w", rec.run, len(rec.Parts), rec.Txn, ErrCorrupt)
	}
	return before.versions[at].payloads, nil
}

// storedRun is the run that was read last, so that who reads versions in order reads each run once. Zero = none.
type storedRun struct {
	first    types.Version
	versions []storedVersion
}

// readRun reads the run that begins with a version.
func (t *Tablet) readRun(first types.Version, out *storedRun) error {
	*out = storedRun{}
	key := key2(kVersion, t.uid, uint64(first))
	return t.s.meta.View(key, func(val []byte) error {
		versions, err := openVersions(key, bytes.Clone(val))
		if err == nil {
			*out = storedRun{first: first, versions: versions}
		}
		return err
	})
}
