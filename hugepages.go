package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Where transparent huge pages have to be asked for (`madvise`, the usual setting), the Go runtime asks for none, and of a program, which lies
// in a file, the kernel makes none by itself. In a virtual machine, where a miss of the TLB walks two page tables, that was a tenth of the
// CPU time of small statements. So a node puts its code and its constants into huge pages once, and those blocks of its heap that are
// full whenever the collector has run (hugeheap.go).
const (
	// hugePagesVariable leaves memory as it is when it is 0. Tools that find functions by the file which is mapped at their addresses, such as a
	// perf that attaches to a running process, need that; profiles of /debug/pprof, panics and debuggers do not.
	hugePagesVariable = "STELE_HUGE_PAGES"

	hugePageFolder = "/sys/kernel/mm/transparent_hugepage/"
)

// useHugePages asks for huge pages, now and as the heap grows. Where the kernel has none or refuses them, the node goes on without.
func useHugePages() error {
	size := hugePageSize()
	if size == 0 || os.Getenv(hugePagesVariable) == "0" {
		return nil
	}
	h := &hugeHeap{size: size}
	go h.keep()
	return moveProgram(size)
}

// hugePageSize is 0 where there are none.
func hugePageSize() uintptr {
	enabled, err := os.ReadFile(hugePageFolder + "enabled")
	if err != nil || strings.Contains(string(enabled), "[never]") {
		return 0
	}
	text, err := os.ReadFile(hugePageFolder + "hpage_pmd_size")
	if err != nil {
		return 0
	}
	size, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0
	}
	return uintptr(size)
}

// memoryRange is a mapping of this process.
type memoryRange struct {
	from, to uintptr
	access   string // "r-xp"
	inode    string // noFile: memory
}

const noFile = "0"

// within returns the part that begins and ends with huge pages.
func (m memoryRange) within(size uintptr) memoryRange {
	m.from = (m.from + size - 1) &^ (size - 1)
	m.to = max(m.to&^(size-1), m.from)
	return m
}

// mapped lists the mappings, in the order of their addresses.
func mapped() ([]memoryRange, error) {
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var list []memoryRange
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var m memoryRange
		var offset, device string
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x %s %s %s %s", &m.from, &m.to, &m.access, &offset, &device, &m.inode); err != nil {
			return nil, fmt.Errorf("mapping %q: %w", lines.Text(), err)
		}
		list = append(list, m)
	}
	return list, lines.Err()
}

// moveProgram puts code and constants of the program into huge pages.
func moveProgram(size uintptr) error {
	list, err := mapped()
	if err != nil {
		return fmt.Errorf("huge pages: %w", err)
	}
	code := reflect.ValueOf(moveProgram).UnsafePointer()
	file := noFile
	for _, m := range list {
		if m.from <= uintptr(code) && uintptr(code) < m.to {
			file = m.inode
		}
	}
	access := map[string]int{"r-xp": unix.PROT_READ | unix.PROT_EXEC, "r--p": unix.PROT_READ}
	for _, m := range list {
		part := m.within(size)
		if access[m.access] == 0 || m.inode != file || file == noFile || part.from == part.to {
			continue
		}
		if err := toHugePages(unsafe.Add(code, int(part.from-uintptr(code))), part.to-part.from, size, access[m.access]); err != nil {
			return fmt.Errorf("code and constants in huge pages: %w", err)
		}
	}
	return nil
}

// toHugePages puts a copy in huge pages in the place of what is there. To the threads of this process that is one step: who comes meanwhile
// waits for the lock on the mappings, and finds the same bytes.
func toHugePages(there unsafe.Pointer, length, size uintptr, access int) error {
	room, err := unix.MmapPtr(-1, 0, nil, length+size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return err
	}
	before := -uintptr(room) & (size - 1) // page tables move as a whole between such addresses only
	behind := size - before
	made := unsafe.Add(room, before)
	b := unsafe.Slice((*byte)(made), length)
	if err = unix.Madvise(b, unix.MADV_HUGEPAGE); err == nil {
		copy(b, unsafe.Slice((*byte)(there), length))
		err = unix.Mprotect(b, access) // a policy may refuse memory that was written to be executed
	}
	if err == nil {
		_, err = unix.MremapPtr(made, length, there, length, unix.MREMAP_MAYMOVE|unix.MREMAP_FIXED)
	}
	if err != nil {
		return errors.Join(err, unix.MunmapPtr(room, length+size))
	}
	if before > 0 {
		err = unix.MunmapPtr(room, before)
	}
	return errors.Join(err, unix.MunmapPtr(unsafe.Add(made, length), behind))
}
