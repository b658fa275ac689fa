//go:build bench

package storage

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/zeebo/xxh3"
	"golang.org/x/sys/unix"

	"stele/be/tablet"
	"stele/be/tablet/kv"
	"stele/sql/rowset"
)

// What stands between a full clone and cp: each measurement moves the same row groups, with more of the way or another store
// at its end. Writes are synced every 16 MiB everywhere, as a clone does.
const syncBytes = 16 << 20

const (
	plainFiles = "plain files"
	segments   = "segments"
	valueLog   = "Badger's value log"
)

// sink stores row groups.
type sink interface {
	put(id rowset.GroupID, val []byte) error
	sync() error
}

// nothing is where row groups go that are only read, sent and verified.
type nothing struct{}

func (nothing) put(rowset.GroupID, []byte) error { return nil }
func (nothing) sync() error                      { return nil }

// kvSink is an instance as the data instance of a disk is, or was: with large values in segments, or in Badger's value log.
type kvSink struct {
	db     *kv.DB
	queued []kv.Entry
}

func (s *kvSink) put(id rowset.GroupID, val []byte) error {
	key := binary.BigEndian.AppendUint64([]byte{'c'}, id.UID)
	key = binary.BigEndian.AppendUint64(key, id.Rowset)
	s.queued = append(s.queued, kv.Entry{Key: binary.BigEndian.AppendUint32(key, id.Group), Value: val})
	return nil
}

func (s *kvSink) sync() error {
	queued := s.queued
	s.queued = nil
	return s.db.Commit(queued...)
}

// fileSink is append-only files of 128 MiB: the least that a store of segments writes.
type fileSink struct {
	dir  string
	n    int
	f    *os.File
	size int64
}

func (s *fileSink) put(_ rowset.GroupID, val []byte) error {
	if s.f == nil || s.size > 128<<20 {
		if s.f != nil {
			if err := s.f.Close(); err != nil { // synced with the last group
				return err
			}
		}
		f, err := os.Create(filepath.Join(s.dir, fmt.Sprintf("%06d.seg", s.n)))
		if err != nil {
			return err
		}
		s.f, s.n, s.size = f, s.n+1, 0
	}
	n, err := s.f.Write(val)
	s.size += int64(n)
	return err
}

func (s *fileSink) sync() error {
	if s.f == nil {
		return nil
	}
	return unix.Fdatasync(int(s.f.Fd()))
}

// rowGroups reads the stored row groups of the tablet into memory, once.
func (b *benchmark) rowGroups() (out [][]byte, err error) {
	snap, err := b.t.Current()
	if err != nil {
		return nil, err
	}
	defer snap.Release()
	e := snap.Export()
	e.Plain = true
	for {
		c, ok, err := e.Next(context.Background())
		if err != nil || !ok {
			return out, err
		}
		if body := c.Bytes[21 : len(c.Bytes)-8]; c.Bytes[0] == 'G' {
			out = append(out, body[8:])
		}
	}
}

// measureSegments tells what a clone pays for each way to store row groups.
func (b *benchmark) measureSegments() error {
	groups, err := b.rowGroups()
	if err != nil {
		return err
	}
	size := int64(0)
	for _, g := range groups {
		size += int64(len(g))
	}
	rounds := max(1, int((1<<30)/size)) // about a gigabyte
	for _, overGRPC := range []bool{false, true} {
		for _, kind := range []string{"no store", plainFiles, segments, valueLog} {
			if !overGRPC && kind == "no store" {
				continue
			}
			wall, cpu, err := b.moveGroups(groups, rounds, kind, overGRPC)
			if err != nil {
				return err
			}
			what := "row groups stored into " + kind
			if overGRPC {
				what = "row groups verified, sent, verified, into " + kind
			}
			total := size * int64(rounds)
			b.report.Fact(what, fmt.Sprintf("%.0f MB/s, %.2f CPU-s/GB", mbps(total, wall), cpu.Seconds()/(float64(total)/1e9)))
		}
	}
	return nil
}

func (b *benchmark) moveGroups(groups [][]byte, rounds int, kind string, overGRPC bool) (wall, cpu time.Duration, err error) {
	dir, err := os.MkdirTemp(b.dir, "sink")
	if err != nil {
		return 0, 0, err
	}
	defer os.RemoveAll(dir)
	var to sink = nothing{}
	switch kind {
	case segments, valueLog:
		db, err := kv.Open(dir, kv.Options{MemTableBytes: 16 << 20, BlockCacheBytes: 16 << 20, ValueThreshold: 4 << 10, GroupBytes: 16 << 20, Segments: kind == segments})
		if err != nil {
			return 0, 0, err
		}
		defer db.Close()
		to = &kvSink{db: db}
	case plainFiles:
		f := &fileSink{dir: dir}
		defer func() {
			if f.f != nil {
				err = errors.Join(err, f.f.Close())
			}
		}()
		to = f
	}
	number, pending := uint32(0), 0
	store := func(val []byte) error {
		id := rowset.GroupID{UID: 9, Rowset: 1, Group: number}
		number++
		if overGRPC {
			var err error
			if err = rowset.Restamp(id, val); err != nil {
				return err
			}
		}
		if err := to.put(id, val); err != nil {
			return err
		}
		if pending += len(val); pending < syncBytes {
			return nil
		}
		pending = 0
		return to.sync()
	}
	return timed(func() error {
		if overGRPC {
			err = b.sendGroups(groups, rounds, store)
		} else {
			for range rounds {
				for _, g := range groups {
					if err := store(g); err != nil {
						return err
					}
				}
			}
		}
		if err != nil {
			return err
		}
		return to.sync()
	})
}

// sendGroups sends the row groups with a checksum each, as chunks of a clone are.
func (b *benchmark) sendGroups(groups [][]byte, rounds int, store func([]byte) error) error {
	return pipe(context.Background(), func(send func([]byte) error) error {
		for range rounds {
			for _, g := range groups {
				msg := append(make([]byte, 0, len(g)+8), g...)
				if err := rowset.Restamp(rowset.GroupID{}, msg); err != nil { // verifies, as an export does
					return err
				}
				if err := send(binary.LittleEndian.AppendUint64(msg, xxh3.Hash(msg))); err != nil {
					return err
				}
			}
		}
		return nil
	}, func(msg []byte) error {
		n := len(msg) - 8
		if xxh3.Hash(msg[:n]) != binary.LittleEndian.Uint64(msg[n:]) {
			return tablet.ErrImport
		}
		return store(msg[:n])
	})
}
