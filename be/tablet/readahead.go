package tablet

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"stele/sql/rowset"
)

// readAheadMin is the size from which a row group is worth reading ahead: smaller ones come with the first page fault.
const readAheadMin = 256 << 10

var pageSize = uintptr(os.Getpagesize())

// readAhead asks the kernel for the wanted columns of the row group that comes next, while this one is decoded: a scan of a
// cold tablet then runs at the speed of the disk and not at that of page faults (reference §2). What goes wrong shows when
// the row group is read.
func (it *Iter) readAhead() {
	if len(it.units) == 0 || it.left >= 0 || it.few {
		return
	}
	u := &it.units[0]
	if u.w == nil || u.w.r.groups[u.group].Bytes < readAheadMin {
		return
	}
	_ = it.s.t.s.viewGroup(u.w.r.group(u.group), func(group *rowset.Group) error {
		for _, id := range it.cols {
			if c := group.Column(id); c >= 0 {
				willNeed(group.ColumnBytes(c))
			}
		}
		return nil
	})
}

// willNeed starts reading the pages of b, which is part of a file mapping, unless its ends are in memory already. On other
// memory it does nothing.
func willNeed(b []byte) {
	if len(b) == 0 {
		return
	}
	// Addresses are only handed to the kernel: no pointer is made of them.
	start := uintptr(unsafe.Pointer(&b[0])) &^ (pageSize - 1)
	end := uintptr(unsafe.Pointer(&b[len(b)-1]))
	if resident(start) && resident(end&^(pageSize-1)) {
		return
	}
	_, _, _ = unix.Syscall(unix.SYS_MADVISE, start, end-start+1, unix.MADV_WILLNEED)
}

func resident(page uintptr) bool {
	var state byte
	_, _, errno := unix.Syscall(unix.SYS_MINCORE, page, pageSize, uintptr(unsafe.Pointer(&state)))
	return errno == 0 && state&1 == 1
}
