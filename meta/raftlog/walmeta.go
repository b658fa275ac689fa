package raftlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/hashicorp/raft-wal/segment"
	waltypes "github.com/hashicorp/raft-wal/types"
)

// walMeta mends what the log store leaves behind when entries at the end of the log are taken back, as they are on an
// FE that led and was replaced before they were committed: it seals the last segment without writing its index, which
// nobody misses until the next start. Then no entry of the segment could be read, and the FE would not start.
//
// The index is made again from the entries before the store opens. It is written behind the last entry that counts, over
// entries that were taken back; a crash in between leaves a segment that is mended the same way.
//
// It mends, too, what a process leaves that was killed when its last segment was full and the next one not begun: the store
// takes such a segment for sealed, and would refuse every entry from then on. See mendFull.
type walMeta struct {
	waltypes.MetaStore
	log *slog.Logger
}

// Load proves and mends the segments and returns the state of the log.
func (m *walMeta) Load(dir string) (waltypes.PersistentState, error) {
	state, err := m.MetaStore.Load(dir)
	if err != nil {
		return state, err
	}
	mended := false
	var next []waltypes.SegmentInfo // that follows a full one; the store makes its file
	for i := range state.Segments {
		s := &state.Segments[i]
		if s.SealTime.IsZero() {
			path := filepath.Join(dir, segment.FileName(*s))
			if err := checkTail(path); err != nil {
				return state, err
			}
			full, err := mendFull(path, s)
			if err != nil {
				return state, fmt.Errorf("log segment %d: %w", s.BaseIndex, err)
			}
			if !full {
				continue
			}
			next = append(next, waltypes.SegmentInfo{
				ID: state.NextSegmentID, BaseIndex: s.MaxIndex + 1, MinIndex: s.MaxIndex + 1,
				Codec: s.Codec, SizeLimit: s.SizeLimit, CreateTime: s.SealTime,
			})
		}
		if s.IndexStart != 0 {
			continue
		}
		if s.IndexStart, err = writeIndex(filepath.Join(dir, segment.FileName(*s)), s); err != nil {
			return state, fmt.Errorf("index of log segment %d: %w", s.BaseIndex, err)
		}
		m.log.Info("made the index of a log segment again", "base", s.BaseIndex, "last", s.MaxIndex)
		mended = true
	}
	if !mended {
		return state, nil
	}
	state.Segments = append(state.Segments, next...)
	state.NextSegmentID += uint64(len(next))
	return state, m.CommitState(state)
}

// The layout of a segment file: a header, then frames, each padded to eight bytes.
const (
	segmentHeader = 32
	frameHeader   = 8
	frameAlign    = 8
)

// writeIndex appends the index of a segment behind its last entry and returns where the index starts.
func writeIndex(path string, s *waltypes.SegmentInfo) (uint64, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	offsets, end, err := entryOffsets(f, int(s.MaxIndex-s.BaseIndex+1))
	if err != nil {
		return 0, errors.Join(err, f.Close())
	}
	size := 4 * len(offsets)
	frame := make([]byte, padded(frameHeader+size))
	frame[0] = segment.FrameIndex
	binary.LittleEndian.PutUint32(frame[4:], uint32(size))
	for i, at := range offsets {
		binary.LittleEndian.PutUint32(frame[frameHeader+4*i:], at)
	}
	_, err = f.WriteAt(frame, end)
	return uint64(end) + frameHeader, errors.Join(err, f.Sync(), f.Close())
}

// entryOffsets finds the first n entries of a segment and where the last one ends.
func entryOffsets(f io.ReaderAt, n int) (offsets []uint32, end int64, err error) {
	end = segmentHeader
	for len(offsets) < n {
		var head [frameHeader]byte
		if _, err := f.ReadAt(head[:], end); err != nil {
			return nil, 0, fmt.Errorf("%d of %d entries found: %w", len(offsets), n, err)
		}
		size := int64(frameHeader)
		switch head[0] {
		case segment.FrameEntry:
			offsets = append(offsets, uint32(end))
			size += int64(binary.LittleEndian.Uint32(head[4:]))
		case segment.FrameIndex:
			size += int64(binary.LittleEndian.Uint32(head[4:]))
		case segment.FrameCommit:
		default:
			return nil, 0, fmt.Errorf("%d of %d entries found, then a frame of kind %d", len(offsets), n, head[0])
		}
		end += padded(size)
	}
	return offsets, end, nil
}

func padded[T int | int64](n T) T { return (n + frameAlign - 1) / frameAlign * frameAlign }
