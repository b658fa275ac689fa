package raftlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"time"

	"github.com/hashicorp/raft-wal/segment"
	waltypes "github.com/hashicorp/raft-wal/types"
)

// checkTail reads the segment that is written to. A batch at its end that is not whole is what a crash leaves behind: the
// store overwrites it. A batch that is not whole with a whole one behind it was durable once and has been damaged since: the
// store would take it for the end, and entries that this FE has acknowledged would be gone without a word.
func checkTail(path string) error {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the store makes it
	}
	if err != nil {
		return err
	}
	end, entries := wholeBatches(b)
	for from := end; ; {
		at := nextCommit(b, from)
		if at < 0 {
			return nil
		}
		for to, n := nextCommit(b, at+frameHeader), 0; to >= 0 && n < maxGuesses; to, n = nextCommit(b, to+frameHeader), n+1 {
			if batchFits(b, at+frameHeader, to) {
				return fmt.Errorf("%s is damaged behind its first %d entries: a batch is broken, and one behind it is whole", path, entries)
			}
		}
		from = at + frameHeader
	}
}

// maxGuesses bounds how many places are tried as the end of a batch: what an entry says may look like one.
const maxGuesses = 16

// wholeBatches returns where the batches from the beginning on that are whole end, and how many entries they have.
func wholeBatches(b []byte) (end, entries int) {
	from, at, n := 0, segmentHeader, 0
	for at+frameHeader <= len(b) {
		size := frameHeader
		switch b[at] {
		case segment.FrameEntry:
			n++
			size += int(binary.LittleEndian.Uint32(b[at+4:]))
		case segment.FrameIndex:
			size += int(binary.LittleEndian.Uint32(b[at+4:]))
		case segment.FrameCommit:
			if !batchFits(b, from, at) {
				return end, entries
			}
			from = at + frameHeader
			end, entries = from, n
		default:
			return end, entries
		}
		at += padded(size)
	}
	return end, entries
}

// mendFull looks whether the segment that is written to has its index, as the store writes it with the batch that fills it. When that
// batch is whole, the segment is marked as sealed but for its index; when it is not, it is cut off, for the store would forget its
// entries and still take the segment for sealed.
func mendFull(path string, s *waltypes.SegmentInfo) (full bool, err error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	index, from := indexFrame(b)
	if index < 0 {
		return false, nil
	}
	end, entries := wholeBatches(b)
	switch {
	case index < end: // it is whole
	case from != end:
		return false, fmt.Errorf("%s is damaged behind its first %d entries: a batch is broken, and the one that fills it follows", path, entries)
	default:
		return false, cutBatch(path, int64(max(end, segmentHeader)))
	}
	s.SealTime, s.MaxIndex = time.Now(), s.BaseIndex+uint64(entries)-1
	return true, nil
}

// cutBatch has the batches of a segment end before off.
func cutBatch(path string, off int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(make([]byte, frameHeader), off)
	return errors.Join(err, f.Sync(), f.Close())
}

// indexFrame returns where the index of a segment is, -1 = nowhere, and where the batch with it begins. Like the store it does not ask
// whether batches are whole.
func indexFrame(b []byte) (at, from int) {
	for at = segmentHeader; at+frameHeader <= len(b); {
		size := frameHeader
		switch b[at] {
		case segment.FrameIndex:
			return at, from
		case segment.FrameEntry:
			size += int(binary.LittleEndian.Uint32(b[at+4:]))
		case segment.FrameCommit:
			from = at + frameHeader
		default:
			return -1, 0
		}
		at += padded(size)
	}
	return -1, 0
}

// batchFits reports whether a commit frame is that of the bytes before it.
func batchFits(b []byte, from, commit int) bool {
	return from < commit && crc32.Checksum(b[from:commit], castagnoli) == binary.LittleEndian.Uint32(b[commit+4:])
}

// nextCommit finds what looks like a commit frame, -1 = none.
func nextCommit(b []byte, from int) int {
	for at := max(padded(from), segmentHeader); at+frameHeader <= len(b); at += frameAlign {
		if b[at] == segment.FrameCommit && b[at+1] == 0 && b[at+2] == 0 && b[at+3] == 0 {
			return at
		}
	}
	return -1
}
