package tablet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"stele/be/tablet/kv"
	"stele/meta/types"
)

// A small version is one value: its record V has the parts in it, and there is no P. That halves what Badger is given, at publish
// and when retention drops the version. Parts that were durable as pending are deleted in the request that writes the record; of
// most of them Badger never hears (kv.Entry.New).

const (
	// inlineBytes bounds the parts that are in a record: those of a durable transaction are written once more for it.
	inlineBytes = 4 << 10
	// inlineMagic begins a record with parts, where others begin with the head of a CBOR map.
	inlineMagic = 0x49
)

// goesInline reports whether the parts of a version are stored in its record.
func (t *Tablet) goesInline(rec *versionRecord) bool {
	if t.s.format() < inlineFormat || len(rec.Bulk) > 0 || len(rec.Parts) == 0 {
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

// versionEntry returns the entry that stores the record of a version; payloads are its parts, if they go there.
func (t *Tablet) versionEntry(version types.Version, rec *versionRecord, payloads [][]byte) kv.Entry {
	key := key2(kVersion, t.uid, uint64(version))
	if !rec.inline {
		return sealed(key, rec)
	}
	size := 1 + (3+len(payloads))*binary.MaxVarintLen64 + sealBytes
	for _, p := range payloads {
		size += len(p)
	}
	body := append(make([]byte, 0, size), inlineMagic)
	body = binary.AppendUvarint(body, uint64(rec.Txn))
	body = binary.AppendVarint(body, rec.AtMs)
	body = binary.AppendUvarint(body, uint64(len(payloads)))
	for _, p := range payloads {
		body = binary.AppendUvarint(body, uint64(len(p)))
		body = append(body, p...)
	}
	return kv.Entry{Key: key, Value: sealHere(key, body)}
}

// takeOver returns what makes a version of parts that are durable already: its record, and the ends of those that are in it.
func (t *Tablet) takeOver(rec *versionRecord, entry kv.Entry) []kv.Entry {
	if !rec.inline {
		return []kv.Entry{entry}
	}
	out := make([]kv.Entry, 0, len(rec.Parts)+1)
	for i := range rec.Parts {
		out = append(out, kv.Entry{Key: partKey(t.uid, rec.Txn, i, false), Delete: true})
	}
	return append(out, entry)
}

// openVersion reads the record of a version, and its parts if they are there; they alias val.
func openVersion(key, val []byte) (rec versionRecord, payloads [][]byte, err error) {
	body, err := unseal(key, val)
	if err != nil {
		return rec, nil, err
	}
	if len(body) == 0 || body[0] != inlineMagic {
		err = openRecord(key, val, &rec)
		return rec, nil, err
	}
	r := &writeReader{src: body[1:]}
	rec = versionRecord{Txn: types.TxnID(r.uvarint()), AtMs: r.varint(), inline: true}
	n := r.uvarint()
	if n > uint64(len(r.src)) {
		r.err = ErrPayload
		n = 0
	}
	for range n {
		payloads = append(payloads, r.take(r.uvarint()))
	}
	if r.err != nil || len(r.src) != 0 {
		return versionRecord{}, nil, fmt.Errorf("version record of key %x: %w", key, ErrCorrupt)
	}
	noteParts(&rec, payloads)
	return rec, payloads, nil
}

// loadParts reads the parts of a version, wherever they are. What is in rowsets is made of them again, or left out.
func (t *Tablet) loadParts(version types.Version, rec *versionRecord, leaveGrouped bool) ([][]byte, error) {
	if !rec.inline {
		return t.loadApart(rec, leaveGrouped)
	}
	key := key2(kVersion, t.uid, uint64(version))
	out, err := t.loadInline(key, rec)
	if !errors.Is(err, kv.ErrNotFound) {
		return out, err
	}
	// The record is on its way, and what it takes over is where it was, or the record has just been written.
	if out, err = t.loadApart(rec, leaveGrouped); err != nil {
		out, err = t.loadInline(key, rec)
	}
	return out, missingIsCorrupt(key, err)
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

// loadInline reads the parts in the record under key; kv.ErrNotFound = it is not written yet, and its parts were durable before.
func (t *Tablet) loadInline(key []byte, rec *versionRecord) (out [][]byte, err error) {
	t.mu.RLock()
	light := t.unwritten[rec.Txn]
	t.mu.RUnlock()
	if light != nil {
		return light, nil
	}
	err = t.s.meta.View(key, func(val []byte) error {
		stored, payloads, err := openVersion(key, slices.Clone(val))
		if err == nil && (stored.Txn != rec.Txn || len(payloads) != len(rec.Parts)) {
			err = fmt.Errorf("version record of key %x is of txn %d, with %d parts: %w", key, stored.Txn, len(payloads), ErrCorrupt)
		}
		out = payloads
		return err
	})
	return out, err
}
