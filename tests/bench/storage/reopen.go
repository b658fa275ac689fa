//go:build bench

package storage

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/zeebo/xxh3"
	"golang.org/x/sys/unix"

	"stele/be/tablet"
	"stele/meta/types"
)

// reopenBytes is how much a disk holds that is opened again after a kill, unless there is no room for it and its copy.
const reopenBytes = 10e9

// measureReopen opens a copy of the open disk, which holds the tablet many times over and deltas: what a killed process leaves.
func (b *benchmark) measureReopen() error {
	s, err := disk(b.path("killed"), false)
	if err != nil {
		return err
	}
	in, err := newInserter(s, 1_000_000, 4)
	if err != nil {
		return closing(s, err)
	}
	tablets, err := b.fill(s, min(reopenBytes*(*scale), reopenBytes, b.room()/3))
	if err == nil {
		_, _, err = writeLoop(16, time.Second, in.insert)
	}
	if err != nil {
		return closing(s, err)
	}
	size, err := copyAll(b.path("killed"), b.path("reopened"))
	if err = closing(s, err); err != nil {
		return err
	}
	_ = os.WriteFile("/proc/sys/vm/drop_caches", []byte("1"), 0) // without root it is hot
	var again *tablet.Store
	wall, cpu, err := timed(func() (err error) { again, err = disk(b.path("reopened"), false); return err })
	if err != nil {
		return err
	}
	n := again.TabletCount()
	err = again.Tablets()[0].Scrub(context.Background(), func(context.Context, int64) error { return nil })
	if err = closing(again, err); err == nil && n != tablets+4 {
		err = fmt.Errorf("%d tablets are there, not %d", n, tablets+4)
	}
	if err != nil {
		return err
	}
	b.report.Ratio(fmt.Sprintf("reopen of %.1f GB after a kill, in s", float64(size)/1e9), ms(wall)+", "+ms(cpu)+" CPU", fmt.Sprintf("%d tablets", tablets+4), wall.Seconds(), 2, true)
	return errors.Join(os.RemoveAll(b.path("reopened")), os.RemoveAll(b.path("killed")))
}

// room is how many bytes are free where the benchmark works.
func (b *benchmark) room() float64 {
	var st unix.Statfs_t
	if unix.Statfs(b.dir, &st) != nil {
		return 0
	}
	return float64(st.Bavail) * float64(st.Bsize)
}

// fill stores the tablet under other ids until the disk holds so many bytes, and returns how often.
func (b *benchmark) fill(s *tablet.Store, bytes float64) (n int, err error) {
	snap, err := b.t.Current()
	if err != nil {
		return 0, err
	}
	defer snap.Release()
	for stored := 0.0; stored < bytes; n++ {
		e := snap.Export()
		e.Plain = true // a sealed chunk cannot be renamed
		id := types.TabletID(n + 1)
		im, err := s.BeginImport(metaOf(id), 0)
		if err != nil {
			return 0, err
		}
		for {
			c, ok, err := e.Next(context.Background())
			if err != nil {
				return 0, err
			}
			if !ok {
				break
			}
			if c.Bytes, err = renamed(c.Bytes, id); err != nil {
				return 0, err
			}
			if err := im.Write(c); err != nil {
				return 0, err
			}
		}
		digest, err := e.Digest(context.Background())
		if err != nil {
			return 0, err
		}
		if _, err := im.Commit(snap.Version(), digest); err != nil {
			return 0, err
		}
		stored += float64(e.TotalBytes())
	}
	return n, nil
}

// renamed makes a chunk of a full clone one of another tablet.
func renamed(chunk []byte, id types.TabletID) ([]byte, error) {
	const fixed = 1 + 8 + 8 + 4
	body := chunk[fixed : len(chunk)-8]
	if chunk[0] == 'H' {
		var header map[int]cbor.RawMessage
		if err := cbor.Unmarshal(body, &header); err != nil {
			return nil, err
		}
		var err error
		if header[1], err = cbor.Marshal(id); err != nil {
			return nil, err
		}
		if body, err = cbor.Marshal(header); err != nil {
			return nil, err
		}
	}
	out := append(append(make([]byte, 0, fixed+len(body)+8), chunk[:fixed]...), body...)
	binary.BigEndian.PutUint64(out[1:], uint64(id))
	return binary.LittleEndian.AppendUint64(out, xxh3.Hash(out)), nil
}
