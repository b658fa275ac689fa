package segment

import (
	"bytes"
	"testing"
)

// TestAheadOfAnything asks for parts of values that are there, are not, or end where the segment does, and of memory that is no mapping.
func TestAheadOfAnything(t *testing.T) {
	WillNeed(nil)
	WillNeed(make([]byte, 1<<21+5))
	log, err := Open(t.TempDir(), Options{Bytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	w := log.NewWriter()
	key, val := []byte("key"), bytes.Repeat([]byte("v"), 300_000)
	pointers, err := w.Append([]Record{{Key: key, Value: val}}, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Sync(); err != nil {
		t.Fatal(err)
	}
	p := pointers[0]
	for _, bytes := range []int64{-1, 0, 1, int64(p.Length), 1 << 40} {
		log.Ahead(key, p, bytes)
		log.Ahead(key, Pointer{Segment: p.Segment, Offset: 1 << 31, Length: p.Length}, bytes)
		log.Ahead(key, Pointer{Segment: p.Segment + 1}, bytes)
	}
	if err := log.View(key, p, func(got []byte) error {
		WillNeed(got[1000:])
		if !bytes.Equal(got, val) {
			t.Errorf("value of %d bytes, want %d", len(got), len(val))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := w.Seal(); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	log.Ahead(key, p, 1) // of a log that is closed
}
