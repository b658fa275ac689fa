package tablet

import (
	"errors"
	"testing"
)

// TestDiskWithoutRoomDoesNotOpen: a disk whose file system is full is refused, as what opening it writes would end the process; with
// room it opens, and has what it had.
func TestDiskWithoutRoomDoesNotOpen(t *testing.T) {
	dir := t.TempDir()
	var free int64 = 1 << 30
	opt := testOptions()
	opt.Faults.Space = func() (total, available int64, err error) { return 2 << 30, free, nil }
	s := openStore(t, dir, opt)
	id := s.ID()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	free = openingCost - 1
	if _, err := Open(dir, opt); !errors.Is(err, ErrDiskFull) {
		t.Fatalf("a full disk: %v", err)
	}
	free = 1 << 30
	if s = openStore(t, dir, opt); s.ID() != id {
		t.Errorf("disk %d opens as %d", id, s.ID())
	}
}
