// Package segment keeps large values in append-only files, so that each is written once and no index of it is built here.
//
// It owns the files *.seg of a directory: writers that append records and make them durable, mappings to read them, and how
// many bytes of each file are alive. Which value belongs to a key it does not know: an append returns a pointer, and whoever
// keeps pointers says when one is in use (Add) and when no longer (Drop). It never interprets keys or values.
//
// Invariants:
//   - A segment is written by one writer and never again after that one has left it, so what is durable stays as it is. A process
//     appends only to segments of its own: the torn end of a killed one is never written to.
//   - A pointer is taken for what it says only if the record there has its length and checksum and the reader's key, and was
//     written at that very place. So a stale or damaged pointer, or a number that is used again, is an error, never another value.
//   - A segment leaves the disk when its owner has found no pointer to it (Remove). Whoever reads it then reads on: its mapping
//     goes with the last reader. A record between Append and Settle is pinned: nobody knows its pointer yet, so no search for
//     pointers would find it.
//
// What a crash leaves are records that no pointer names: they take space until their segment is rewritten.
package segment

import "errors"

// Errors.
var (
	// ErrGone says that there is no such segment: it was removed since the pointer was read, or never was.
	ErrGone = errors.New("segment is gone")
	// ErrDamaged says that a pointer and the record at its place disagree.
	ErrDamaged = errors.New("segment is damaged")
)
