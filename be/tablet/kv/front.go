package kv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/zeebo/xxh3"

	"stele/meta/journal"
)

// front is a short log before Badger. A group commit is one write and one flush of it, in the goroutine of the committer;
// Badger, which takes four goroutines and an msync for each, gets many of them at once a moment later.
//
// Two files of fixed size are written in turn. Each request is a record; records carry the generation of their file, the
// number of their group and a sequence number. A file is begun again when all that it held is in Badger. After a crash the
// records of both are put into Badger again, in order: as every change passes here, or after the front was emptied, the
// newest one of each key comes last.
//
//	record: hash(8) of what follows, size(4) of the changes, 0(4), generation(8), group(8), sequence(8), changes, padding to 8
//	change: length of key * 2 + 1 for a deletion, key, for a value its length and the value
type front struct {
	dir   string
	size  int64 // of a file
	files [2]*journal.File
	at    int   // the file that is written
	off   int64 // in it
	gen   uint64
	group uint64
	seq   uint64    // of the last record
	last  [2]uint64 // sequence number of the last record in each file; 0 = none
}

const (
	frontHead  = 8 + 4 + 4 + 8 + 8 + 8
	frontAlign = 8
	// frontPart of a memtable is the size of one file, and half of that what a request may have to pass here.
	frontPart = 8
)

func frontName(dir string, i int) string { return filepath.Join(dir, fmt.Sprintf("FRONT.%d", i)) }

// hasFront reports whether an instance was left with records.
func hasFront(dir string) bool {
	for i := range 2 {
		if _, err := os.Stat(frontName(dir, i)); err == nil {
			return true
		}
	}
	return false
}

func newFront(dir string, opt Options) *front {
	f := &front{dir: dir, size: opt.FrontBytes, gen: 1}
	if most := opt.MemTableBytes / frontPart; f.size == 0 || f.size > most {
		f.size = most
	}
	return f
}

// takes reports whether a group of so many bytes may pass.
func (f *front) takes(bytes int64, entries int) bool {
	return bytes+int64(entries)*frontHead <= f.size/2
}

// groupBytes is how much of small requests goes into one group. All of it passes, also when each has but one change: what does not
// pass waits until Badger has all that came before, and everybody with it.
func (f *front) groupBytes(entries int) int64 {
	return max(f.size/2-2*int64(entries)*frontHead, f.size/4)
}

// create makes the files, so that they are there before something in them is acknowledged.
func (f *front) create() error {
	for i, file := range f.files {
		if file != nil {
			continue
		}
		var err error
		if f.files[i], err = journal.Create(frontName(f.dir, i), f.size); err != nil {
			return err
		}
	}
	return nil
}

// fits reports whether a group has room in the file that is written; else the other one is begun when what it holds, up to
// the record that is returned, is in Badger.
func (f *front) fits(bytes int) (ok bool, until uint64) {
	return f.off+int64(bytes) <= f.size, f.last[1-f.at]
}

// turn begins the other file.
func (f *front) turn() {
	f.at, f.off = 1-f.at, 0
	f.gen++
	f.last[f.at] = 0
}

// encode makes the records of a group. Keys and values of the result share its memory.
func (f *front) encode(group []*request) ([]byte, []*request) {
	size, entries := 0, 0
	for _, r := range group {
		entries += len(r.entries)
		size += frontHead + frontAlign + int(r.bytes) + len(r.entries)*2*binary.MaxVarintLen32
	}
	buf := make([]byte, 0, size)
	out, requests, all := make([]*request, len(group)), make([]request, len(group)), make([]Entry, entries)
	f.group++
	for i, r := range group {
		f.seq++
		start := len(buf)
		buf = append(buf, make([]byte, frontHead)...)
		n := len(r.entries)
		out[i] = &requests[i]
		*out[i] = request{entries: all[:n:n], bytes: r.bytes, seq: f.seq}
		all = all[n:]
		for k, e := range r.entries {
			buf, out[i].entries[k] = appendChange(buf, e)
		}
		f.seal(buf[start:], f.seq)
		for len(buf)%frontAlign != 0 {
			buf = append(buf, 0)
		}
	}
	return buf, out
}

// again is encode for the group that was encoded last, after turn.
func (f *front) again(group []*request) ([]byte, []*request) {
	f.group--
	f.seq -= uint64(len(group))
	return f.encode(group)
}

func appendChange(buf []byte, e Entry) ([]byte, Entry) {
	n := uint64(len(e.Key)) << 1
	if e.Delete {
		n |= 1
	}
	buf = binary.AppendUvarint(buf, n)
	at := len(buf)
	buf = append(buf, e.Key...)
	out := Entry{Key: buf[at:len(buf):len(buf)], Delete: e.Delete, New: e.New}
	if !e.Delete {
		buf = binary.AppendUvarint(buf, uint64(len(e.Value)))
		at = len(buf)
		buf = append(buf, e.Value...)
		out.Value = buf[at:len(buf):len(buf)]
	}
	return buf, out
}

// seal fills the head of a record.
func (f *front) seal(rec []byte, seq uint64) {
	binary.LittleEndian.PutUint32(rec[8:], uint32(len(rec)-frontHead))
	binary.LittleEndian.PutUint64(rec[16:], f.gen)
	binary.LittleEndian.PutUint64(rec[24:], f.group)
	binary.LittleEndian.PutUint64(rec[32:], seq)
	binary.LittleEndian.PutUint64(rec, xxh3.Hash(rec[8:]))
}

// write makes records durable.
func (f *front) write(buf []byte) error {
	if err := f.create(); err != nil {
		return fmt.Errorf("make the front log: %w", err)
	}
	file := f.files[f.at]
	if _, err := file.WriteAt(buf, f.off); err != nil {
		return fmt.Errorf("write the front log: %w", err)
	}
	if err := file.Sync(); err != nil {
		return fmt.Errorf("sync the front log: %w", err)
	}
	f.off += int64(len(buf))
	f.last[f.at] = f.seq
	return nil
}

// clear makes the records of both files void: all of them are in Badger, and newer changes will be that did not pass here.
func (f *front) clear() error {
	if f.last == [2]uint64{} {
		return nil
	}
	for range f.files {
		f.turn()
		f.group++
		f.seq++
		rec := make([]byte, frontHead)
		f.seal(rec, f.seq)
		if err := f.write(rec); err != nil {
			return err
		}
	}
	f.last = [2]uint64{}
	return nil
}

// removeFront removes the files: all that they hold is in Badger. They are gone for good when it returns, else newer changes
// that do not pass the front would be undone by them.
func removeFront(dir string) error {
	if !hasFront(dir) {
		return nil
	}
	var errs []error
	for i := range 2 {
		if err := os.Remove(frontName(dir, i)); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, journal.SyncDir(dir))...)
}

func (f *front) close() error {
	var errs []error
	for i, file := range f.files {
		if file != nil {
			errs = append(errs, file.Close())
			f.files[i] = nil
		}
	}
	return errors.Join(errs...)
}
