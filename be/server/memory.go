package server

import (
	"bufio"
	"os"
	"runtime"
	"strconv"
	"strings"

	"stele/be/tablet"
	"stele/proto/bepb"
)

// Memory says where the memory of the process goes. What is mapped from files is not part of what is limited: the kernel takes it
// back when it needs it.
func (s *Server) Memory() []*bepb.MemoryPart {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	anonymous, files := resident()
	if anonymous == 0 {
		anonymous = int64(m.Sys - m.HeapReleased)
	}
	out := []*bepb.MemoryPart{
		{Name: "process", UsedBytes: anonymous, LimitBytes: s.MemLimit, Info: "all that is not mapped from files: the sum of what follows"},
		{Name: "heap", UsedBytes: int64(m.HeapInuse), Info: "objects, and what the collector has not taken back yet"},
		{Name: "heap_idle", UsedBytes: int64(m.HeapIdle - m.HeapReleased), Info: "kept for objects to come"},
		{Name: "stacks", UsedBytes: int64(m.StackInuse)},
		{Name: "runtime", UsedBytes: int64(m.GCSys + m.OtherSys + m.MSpanSys + m.MCacheSys + m.BuckHashSys)},
	}
	out = append(out, s.parts()...)
	return append(out, &bepb.MemoryPart{Name: "mapped_files", UsedBytes: files, Info: "row groups and tables in memory: not limited, given back when memory is short"})
}

// parts are the large owners of heap.
func (s *Server) parts() []*bepb.MemoryPart {
	var sum tablet.Memory
	for _, d := range s.Host.Disks() {
		if d.Store == nil {
			continue
		}
		m := d.Store.Memory()
		sum.Deltas += m.Deltas
		sum.DeltaLimit += m.DeltaLimit
		sum.BlockCaches += m.BlockCaches
		sum.IndexCaches += m.IndexCaches
		sum.Decoded += m.Decoded
		sum.DecodedLimit += m.DecodedLimit
		sum.Orders += m.Orders
		sum.OrderLimit += m.OrderLimit
		sum.Memtables += m.Memtables
		sum.Imports += m.Imports
		sum.ImportLimit += m.ImportLimit
	}
	rows, most := s.Scanner.RowCache()
	return []*bepb.MemoryPart{
		{Name: "deltas", UsedBytes: sum.Deltas, LimitBytes: sum.DeltaLimit, Info: "part of heap: decoded writes that are not in a rowset yet"},
		{Name: "row_cache", UsedBytes: rows, LimitBytes: most, Info: "part of heap: answers to point queries"},
		{Name: "clones", UsedBytes: sum.Imports, LimitBytes: sum.ImportLimit, Info: "part of heap: received and not on disk yet"},
		{Name: "decoded_blocks", UsedBytes: sum.Decoded, LimitBytes: sum.DecodedLimit, Info: "part of heap: decoded values that reads of few rows come back to"},
		{Name: "key_orders", UsedBytes: sum.Orders, LimitBytes: sum.OrderLimit, Info: "part of heap: orders of rows by the columns of secondary keys"},
		{Name: "block_caches", LimitBytes: sum.BlockCaches, Info: "part of heap: blocks of tables, at most"},
		{Name: "index_caches", LimitBytes: sum.IndexCaches, Info: "part of heap: indexes of tables, at most"},
		{Name: "memtables", LimitBytes: sum.Memtables, Info: "part of heap: memtables of the key-value stores, at most"},
	}
}

// MemoryUsed is what be_mem_limit_bytes limits.
func MemoryUsed(parts []*bepb.MemoryPart) int64 { return parts[0].UsedBytes }

// resident returns the resident memory of this process that is anonymous and that is mapped from files; 0 when the system does
// not say.
func resident() (anonymous, files int64) {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return 0, 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 3 || fields[2] != "kB" {
			continue
		}
		kb, err := strconv.ParseInt(fields[1], 10, 64)
		switch {
		case err != nil:
		case fields[0] == "RssAnon:":
			anonymous = kb << 10
		case fields[0] == "RssFile:":
			files = kb << 10
		}
	}
	return anonymous, files
}
