package proc

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"stele/fe/cluster"
	"stele/fe/stmt"
	"stele/fe/stmt/admin"
)

var memoryColumns = stmt.Cols(`
	Node       name FE or BE, by its address.
	Role       text FE or BE.
	Name       text What takes memory: process is all of it that is limited.
	Used       text Bytes now; NULL: only the most is known.
	Limit      text Bytes at most; NULL: it has no limit of its own.
	UsedBytes  int  Used as a number.
	LimitBytes int  Limit as a number.
	Info       text What it is.
`)

// procMemory tells where the memory of this FE and of all BEs goes.
func procMemory(c procCall) (stmt.Result, error) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	var rows []stmt.Row
	add := func(node, role string, p cluster.MemoryPart) {
		row := stmt.Row{node, role, p.Name, stmt.Capacity(p.Used), stmt.Capacity(p.Limit), p.Used, p.Limit, p.Info}
		if p.Used == 0 && p.Limit != 0 {
			row[3], row[5] = nil, nil
		}
		if p.Limit == 0 {
			row[4], row[6] = nil, nil
		}
		rows = append(rows, row)
	}
	self := ownName(c.Env)
	add(self, "FE", cluster.MemoryPart{Name: "process", Used: int64(m.Sys - m.HeapReleased), Limit: memoryLimit(), Info: "all that the runtime has from the system"})
	add(self, "FE", cluster.MemoryPart{Name: "heap", Used: int64(m.HeapInuse), Info: "objects, and what the collector has not taken back yet"})
	add(self, "FE", cluster.MemoryPart{Name: "heap_idle", Used: int64(m.HeapIdle - m.HeapReleased), Info: "kept for objects to come"})
	add(self, "FE", cluster.MemoryPart{Name: "stacks", Used: int64(m.StackInuse)})
	add(self, "FE", cluster.MemoryPart{Name: "redo", Used: c.Catalog.RedoBytes(),
		Info: fmt.Sprintf("rows that commits carry, of %d tablets: their replicas do not have them on disk for certain", c.Catalog.RedoTablets())})
	for _, be := range admin.SortedBEs(c.Env) {
		for _, p := range c.Member(be.ID).Memory {
			add(fmt.Sprintf("%s:%d", be.Host, be.Port), "BE", p)
		}
	}
	return c.table(memoryColumns, rows)
}

// memoryLimit returns the limit of this process, 0 = none.
func memoryLimit() int64 {
	if limit := debug.SetMemoryLimit(-1); limit < 1<<60 {
		return limit
	}
	return 0
}
