package kv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/zeebo/xxh3"
)

// frontRecord is one record that was read.
type frontRecord struct {
	gen, group, seq uint64
	entries         []Entry
	next            int // where the next one begins
}

// readFront returns the requests that a process which did not close the instance has left, in order. What cannot be read is
// the end, torn by the crash; when something follows that was acknowledged later it is damage.
func readFront(dir string) ([]*request, error) {
	var files [2][]frontRecord
	var raw [2][]byte
	for i := range files {
		var err error
		if raw[i], err = os.ReadFile(frontName(dir, i)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		files[i] = readRecords(raw[i])
	}
	older, newer := 0, 1
	if generation(files[0]) > generation(files[1]) {
		older, newer = 1, 0
	}
	all := append(append([]frontRecord(nil), files[older]...), files[newer]...)
	for i := 1; i < len(all); i++ {
		if all[i].seq != all[i-1].seq+1 {
			return nil, fmt.Errorf("front log: record %d follows %d: %w", all[i].seq, all[i-1].seq, ErrDamaged)
		}
	}
	var last frontRecord
	if len(all) > 0 {
		last = all[len(all)-1]
	}
	for i, recs := range files {
		end := 0
		if len(recs) > 0 {
			end = recs[len(recs)-1].next
		}
		if i == older && len(files[newer]) > 0 && len(recs) > 0 { // its end is where the newer one follows
			continue
		}
		if group, ok := groupBeyond(raw[i], end, last); ok {
			return nil, fmt.Errorf("front log: group %d is there, what follows %d is not: %w", group, last.group, ErrDamaged)
		}
	}
	out := make([]*request, len(all))
	for i, rec := range all {
		out[i] = &request{entries: rec.entries, seq: rec.seq}
	}
	return out, nil
}

func generation(recs []frontRecord) uint64 {
	if len(recs) == 0 {
		return 0
	}
	return recs[0].gen
}

// readRecords reads the records of a file from its start, as far as they belong together.
func readRecords(raw []byte) (out []frontRecord) {
	for at := 0; ; {
		rec, ok := readRecord(raw, at)
		if !ok || len(out) > 0 && (rec.gen != out[0].gen || rec.seq != out[len(out)-1].seq+1) {
			return out
		}
		out = append(out, rec)
		at = rec.next
	}
}

// groupBeyond looks for a record behind the end of a file that was written after the group which follows the last one: that
// group was acknowledged before, and is not all there.
func groupBeyond(raw []byte, end int, last frontRecord) (group uint64, found bool) {
	for at := end; at+frontHead <= len(raw); at += frontAlign {
		gen, group := binary.LittleEndian.Uint64(raw[at+16:]), binary.LittleEndian.Uint64(raw[at+24:])
		if gen < last.gen || gen > last.gen+1 || group < last.group+2 {
			continue
		}
		if rec, ok := readRecord(raw, at); ok {
			return rec.group, true
		}
	}
	return 0, false
}

func readRecord(raw []byte, at int) (rec frontRecord, ok bool) {
	if at+frontHead > len(raw) {
		return rec, false
	}
	size := int(binary.LittleEndian.Uint32(raw[at+8:]))
	if size > len(raw)-at-frontHead || binary.LittleEndian.Uint32(raw[at+12:]) != 0 {
		return rec, false
	}
	end := at + frontHead + size
	if xxh3.Hash(raw[at+8:end]) != binary.LittleEndian.Uint64(raw[at:]) {
		return rec, false
	}
	rec.gen, rec.group, rec.seq = binary.LittleEndian.Uint64(raw[at+16:]), binary.LittleEndian.Uint64(raw[at+24:]), binary.LittleEndian.Uint64(raw[at+32:])
	rec.next = (end + frontAlign - 1) &^ (frontAlign - 1)
	rec.entries, ok = readChanges(raw[at+frontHead : end])
	return rec, ok
}

func readChanges(src []byte) (out []Entry, ok bool) {
	take := func(n uint64) []byte {
		if n > uint64(len(src)) {
			ok = false
			return nil
		}
		b := src[:n:n]
		src = src[n:]
		return b
	}
	number := func() uint64 {
		v, n := binary.Uvarint(src)
		if n <= 0 {
			ok, src = false, nil
			return 0
		}
		src = src[n:]
		return v
	}
	ok = true
	for len(src) > 0 && ok {
		n := number()
		e := Entry{Key: take(n >> 1), Delete: n&1 == 1}
		if ok && !e.Delete {
			e.Value = take(number())
		}
		out = append(out, e)
	}
	return out, ok
}
