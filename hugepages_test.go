package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// inHugePages is how many bytes of some mappings lie in huge pages, by the kernel's account.
func inHugePages(t *testing.T, asked func(memoryRange) bool) (bytes uintptr) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	inside := false
	for line := range strings.Lines(string(text)) {
		var m memoryRange
		if n, _ := fmt.Sscanf(line, "%x-%x %s ", &m.from, &m.to, &m.access); n == 3 {
			inside = asked(m)
		}
		if rest, ok := strings.CutPrefix(line, "AnonHugePages:"); ok && inside {
			kb, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			bytes += uintptr(kb) << 10
		}
	}
	return bytes
}

// TestProgramInHugePages has another process move its program while its threads run, take a profile of itself and panic.
func TestProgramInHugePages(t *testing.T) {
	const child = "STELE_TEST_HUGE_PAGES"
	if os.Getenv(child) != "" {
		moveWhileRunning(t)
		return
	}
	if hugePageSize() == 0 {
		t.Skip("the kernel has no huge pages")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestProgramInHugePages$", "-test.v")
	cmd.Env = append(os.Environ(), child+"=1")
	out, err := cmd.CombinedOutput()
	for _, want := range []string{"code moved: true\n", "the profile has names: true\n", "panic: the end", ".moveWhileRunning("} {
		if err == nil || !bytes.Contains(out, []byte(want)) {
			t.Errorf("%v: printed without %q:\n%s", err, want, out)
		}
	}
}

func moveWhileRunning(t *testing.T) {
	var profile bytes.Buffer
	if err := pprof.StartCPUProfile(&profile); err != nil {
		t.Fatal(err)
	}
	var others sync.WaitGroup
	for range 2 * runtime.GOMAXPROCS(0) {
		others.Go(busy)
	}
	size := hugePageSize()
	for range 2 { // what has been moved is memory without a file, and stays where it is
		if err := moveProgram(size); err != nil {
			t.Fatal(err)
		}
	}
	others.Wait()
	pprof.StopCPUProfile()
	fmt.Println("code moved:", inHugePages(t, func(m memoryRange) bool { return m.access == "r-xp" }) >= size)
	unpacked, err := gzip.NewReader(&profile)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("the profile has names:", bytes.Contains(text, []byte("stele.busy")))
	panic("the end")
}

// busy takes some time of a processor.
func busy() {
	var digits []byte
	for i := range 5_000_000 {
		digits = strconv.AppendInt(digits[:0], int64(i)*int64(i), 10)
	}
	runtime.KeepAlive(digits)
}

// TestHugeHeap: what is full comes to lie in huge pages, and nothing else: the heap does not grow by more than the allowance.
func TestHugeHeap(t *testing.T) {
	size := hugePageSize()
	if size == 0 {
		t.Skip("the kernel has no huge pages")
	}
	const blocks = 16
	full := make([]byte, blocks*size)
	for i := 0; i < len(full); i += os.Getpagesize() {
		full[i] = 1
	}
	sparse := make([]byte, blocks*size)
	for i := uintptr(0); i < blocks*size; i += size {
		sparse[i] = 1
	}
	h := &hugeHeap{size: size}
	before := resident(t)
	if err := h.look(); errors.Is(err, unix.ENOTTY) {
		t.Skip("an older kernel")
	} else if err != nil {
		t.Fatal(err)
	}
	object := uintptr(unsafe.Pointer(&full[0]))
	one := memoryRange{from: object, to: object + blocks*size}.within(size)
	switch _, _, errno := unix.Syscall(unix.SYS_MADVISE, one.from, size, unix.MADV_COLLAPSE); errno {
	case unix.ENOMEM, unix.EBUSY, unix.EAGAIN:
		t.Skip("the kernel has no huge pages to spare:", errno)
	}
	if got := inHugePages(t, func(m memoryRange) bool { return m.from <= object && object < m.to }); got < (blocks-1)*size {
		t.Errorf("%d bytes of the heap are in huge pages, of %d that are full", got, len(full))
	}
	if after := resident(t); after > before+blocks/2*size {
		t.Errorf("the process has grown from %d to %d bytes", before, after)
	}
	runtime.KeepAlive(full)
	runtime.KeepAlive(sparse)
}

// resident is how much of this process is in memory.
func resident(t *testing.T) uintptr {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	var all, pages uintptr
	if _, err := fmt.Sscan(string(text), &all, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * uintptr(os.Getpagesize())
}

func TestFullBlocks(t *testing.T) {
	const size, page = 2 << 20, 4 << 10
	for _, c := range []struct {
		about string
		small [][2]uintptr // in pages
		full  [][2]uintptr // in blocks
	}{
		{"nothing", nil, nil},
		{"a full block", [][2]uintptr{{512, 1024}}, [][2]uintptr{{1, 2}}},
		{"nearly full", [][2]uintptr{{512, 992}}, [][2]uintptr{{1, 2}}},
		{"not full", [][2]uintptr{{512, 991}}, nil},
		{"in pieces", [][2]uintptr{{512, 600}, {601, 900}, {905, 1024}}, [][2]uintptr{{1, 2}}},
		{"over a border", [][2]uintptr{{513, 1536}}, [][2]uintptr{{1, 3}}},
		{"a sparse one between", [][2]uintptr{{512, 1100}, {1536, 2048}}, [][2]uintptr{{1, 2}, {3, 4}}},
		{"the halves of two", [][2]uintptr{{768, 1280}}, nil},
	} {
		f := fullBlocks{size: size}
		for _, r := range c.small {
			f.add(r[0]*page, r[1]*page)
		}
		var got [][2]uintptr
		for _, m := range f.list {
			got = append(got, [2]uintptr{m.from / size, m.to / size})
		}
		if !slices.Equal(got, c.full) {
			t.Errorf("%s: %v, want %v", c.about, got, c.full)
		}
	}
}
