package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// hugeHeap makes huge pages of those blocks of the heap that are full. The heap as a whole is not marked for huge pages: the kernel would make one of
// each block of which a single page is in use, and soon again of what the runtime has given back, so the process would stay as large as it has
// once been, beyond any limit that the runtime was told. A block that is full grows by nothing; one of which the runtime gives back a part is
// small pages again.
type hugeHeap struct {
	size  uintptr
	found []pageRegion
}

const (
	// fullParts of fullOf parts of a block have to be in memory: by this much the heap may become larger.
	fullParts, fullOf = 15, 16

	// leastPause is how long the heap is left alone at least, and pauseFactor how many times as long as it took to look at it.
	leastPause  = 5 * time.Second
	pauseFactor = 200
)

// keep looks at the heap behind collections: it grows before them, and what it has grown by is in use.
func (h *hugeHeap) keep() {
	for next := (time.Time{}); ; {
		awaitCollection()
		begun := time.Now()
		if begun.Before(next) {
			continue
		}
		if err := h.look(); err != nil {
			if !errors.Is(err, unix.ENOTTY) { // older kernels
				fmt.Fprintf(os.Stderr, "stele: the heap stays in small pages: %v\n", err)
			}
			return
		}
		now := time.Now()
		next = now.Add(max(leastPause, pauseFactor*now.Sub(begun)))
	}
}

// awaitCollection returns when the collector has run once more.
func awaitCollection() {
	done := make(chan struct{})
	runtime.AddCleanup(new(*byte), func(c chan struct{}) { close(c) }, done)
	<-done
}

// look makes huge pages of all full blocks of the heap.
func (h *hugeHeap) look() error {
	list, err := heapRanges()
	if err != nil {
		return err
	}
	pagemap, err := os.Open("/proc/self/pagemap")
	if err != nil {
		return err
	}
	defer pagemap.Close()
	for _, m := range list {
		if err := h.collapseIn(pagemap.Fd(), m.within(h.size)); err != nil {
			return err
		}
	}
	return nil
}

// collapseIn makes huge pages of the full blocks of a mapping.
func (h *hugeHeap) collapseIn(pagemap uintptr, m memoryRange) error {
	full := fullBlocks{size: h.size}
	for at := m.from; at < m.to; {
		regions, end, err := h.smallPages(pagemap, at, m.to)
		if err != nil {
			return err
		}
		for _, r := range regions {
			full.add(uintptr(r.start), uintptr(r.end))
		}
		at = end
	}
	for _, m := range full.list {
		collapse(m)
	}
	return nil
}

// fullBlocks gathers the blocks that are full of small pages; those that lie side by side are one range.
type fullBlocks struct {
	size  uintptr
	block uintptr // the last one of which something was added
	small uintptr // how much of it
	list  []memoryRange
}

// add takes small pages in the order of their addresses.
func (f *fullBlocks) add(from, to uintptr) {
	for from < to {
		if block := from &^ (f.size - 1); block != f.block {
			f.block, f.small = block, 0
		}
		part := min(to, f.block+f.size) - from
		least := f.size / fullOf * fullParts
		if f.small < least && f.small+part >= least {
			f.found()
		}
		f.small += part
		from += part
	}
}

func (f *fullBlocks) found() {
	if n := len(f.list); n > 0 && f.list[n-1].to == f.block {
		f.list[n-1].to += f.size
		return
	}
	f.list = append(f.list, memoryRange{from: f.block, to: f.block + f.size})
}

// collapse makes each block of a range a huge page. What cannot be had is asked for another time: huge pages may be short, and the runtime may
// have given a block back since it was found to be full, which newer kernels call an invalid argument.
func collapse(m memoryRange) {
	_, _, _ = unix.Syscall(unix.SYS_MADVISE, m.from, m.to-m.from, unix.MADV_COLLAPSE)
}

// The question of the kernel which pages are in memory and no huge ones (PAGEMAP_SCAN, Linux 6.7).
type (
	pageScan struct {
		size, flags, start, end, walkEnd    uint64
		regions                             unsafe.Pointer
		room, pages                         uint64
		inverted, required, anyOf, returned uint64
	}
	pageRegion struct{ start, end, categories uint64 }
)

const (
	pagemapScan   = 0xc0606610
	pageIsPresent = 1 << 3
	pageIsHuge    = 1 << 6

	regionsAtOnce = 1024
)

// smallPages lists the pages of a range that are in memory and small, and says how far it has come.
func (h *hugeHeap) smallPages(pagemap, from, to uintptr) ([]pageRegion, uintptr, error) {
	if h.found == nil {
		h.found = make([]pageRegion, regionsAtOnce)
	}
	scan := pageScan{start: uint64(from), end: uint64(to), regions: unsafe.Pointer(&h.found[0]), room: regionsAtOnce,
		inverted: pageIsHuge, required: pageIsPresent | pageIsHuge, returned: pageIsPresent}
	scan.size = uint64(unsafe.Sizeof(scan))
	n, _, errno := unix.Syscall(unix.SYS_IOCTL, pagemap, pagemapScan, uintptr(unsafe.Pointer(&scan)))
	if errno != 0 {
		return nil, 0, fmt.Errorf("look for small pages: %w", errno)
	}
	return h.found[:n], uintptr(scan.walkEnd), nil
}

// heapRanges lists the mappings in use that hang together with the one of an object on the heap.
func heapRanges() ([]memoryRange, error) {
	list, err := mapped()
	if err != nil {
		return nil, err
	}
	object := uintptr(unsafe.Pointer(&list[0]))
	var used []memoryRange
	var end uintptr // of what hangs together so far
	for _, m := range list {
		if m.inode != noFile || m.from != end {
			if end > object {
				break
			}
			used = used[:0]
		}
		if m.inode != noFile {
			continue
		}
		end = m.to
		if m.access == "rw-p" {
			used = append(used, m)
		}
	}
	return used, nil
}
