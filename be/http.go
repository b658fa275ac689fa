package be

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"stele/be/tablet"
	"stele/meta/debug"
	"stele/meta/types"
)

// serveHTTP answers probes, metrics and the pages whose addresses SHOW TABLET prints, until ctx ends.
func (n *node) serveHTTP(ctx context.Context, lis net.Listener) error {
	srv := &http.Server{Handler: n.pages(), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	if err := srv.Serve(lis); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve http: %w", err)
	}
	return nil
}

func (n *node) pages() http.Handler {
	mux := http.NewServeMux()
	debug.Mount(mux)
	mux.HandleFunc("GET /health", n.health)
	mux.Handle("GET /metrics", promhttp.HandlerFor(n.metrics(), promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /api/meta/header/{tablet}", func(w http.ResponseWriter, r *http.Request) {
		n.tabletPage(w, r.PathValue("tablet"), n.header)
	})
	mux.HandleFunc("GET /api/compaction/show", func(w http.ResponseWriter, r *http.Request) {
		n.tabletPage(w, r.URL.Query().Get("tablet_id"), n.layout)
	})
	return mux
}

// health says whether this BE can serve: it belongs to a cluster, has a disk open, and is not stopping.
func (n *node) health(w http.ResponseWriter, _ *http.Request) {
	open := 0
	for _, d := range n.host.Disks() {
		if d.Store != nil {
			open++
		}
	}
	switch {
	case n.stopping.Load():
		http.Error(w, "stopping", http.StatusServiceUnavailable)
	case n.host.Identity().Cluster == "":
		http.Error(w, "this be has not joined a cluster", http.StatusServiceUnavailable)
	case open == 0:
		http.Error(w, "no disk is open", http.StatusServiceUnavailable)
	default:
		fmt.Fprintln(w, "ok")
	}
}

// tabletPage answers what describe says of a tablet, as JSON.
func (n *node) tabletPage(w http.ResponseWriter, text string, describe func(*tablet.Tablet) any) {
	id, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		http.Error(w, fmt.Sprintf("%q is no tablet id", text), http.StatusBadRequest)
		return
	}
	t, ok := n.host.Tablet(types.TabletID(id))
	if !ok {
		http.Error(w, fmt.Sprintf("no replica of tablet %d here", id), http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	if err := enc.Encode(describe(t)); err != nil {
		n.log.Debug("answer http", "err", err)
	}
}

// header is what a replica is.
func (n *node) header(t *tablet.Tablet) any {
	m, s := t.Meta(), t.Stats()
	return struct {
		TabletID       types.TabletID    `json:"tablet_id"`
		TableID        types.TableID     `json:"table_id"`
		PartitionID    types.PartitionID `json:"partition_id"`
		ReplicaID      types.ReplicaID   `json:"replica_id"`
		Epoch          types.Epoch       `json:"epoch"`
		Version        types.Version     `json:"version"`
		MissingVersion types.Version     `json:"missing_version,omitempty"`
		Rows           int64             `json:"rows"`
		Bytes          int64             `json:"bytes"`
		Pending        int               `json:"pending_transactions"`
		Bad            bool              `json:"bad"`
		BadReason      string            `json:"bad_reason,omitempty"`
		Schema         types.Schema      `json:"schema"`
	}{m.Tablet, m.Table, m.Partition, m.Replica, m.Epoch, t.Version(), n.writer.Missing(t), s.Rows, s.Bytes, s.Pending, s.Bad,
		s.BadReason, m.Schema}
}

// layout is how a replica is stored.
func (n *node) layout(t *tablet.Tablet) any {
	s := t.Stats()
	return struct {
		TabletID       types.TabletID `json:"tablet_id"`
		Version        types.Version  `json:"version"`
		Rowsets        int            `json:"rowsets"`
		DeltaRows      int            `json:"delta_rows"`
		Versions       int            `json:"versions_to_merge"`
		OldestReadable types.Version  `json:"oldest_readable_version"`
		OldestRetained types.Version  `json:"oldest_retained_version"`
		RetainedBytes  int64          `json:"retained_bytes"`
		ReadFanIn      int            `json:"read_fan_in"`
		Disk           any            `json:"disk"`
	}{t.ID(), t.Version(), s.Rowsets, s.Deltas, s.Versions, s.OldestReadable, s.OldestRetained, s.RetainedBytes, s.ReadFanIn, n.background(t)}
}

// background is what the disk of a replica has done in the background since it was opened.
func (n *node) background(t *tablet.Tablet) any {
	s, ok := n.host.Store(t.ID())
	if !ok {
		return nil
	}
	c := s.Counters()
	return struct {
		tablet.Counters
		WriteAmplification float64
	}{c, c.WriteAmplification()}
}

// metrics are the process's own, and what the BE counts.
func (n *node) metrics() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	gauge := func(name, help string, f func() float64) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "stele", Subsystem: "be", Name: name, Help: help}, f))
	}
	overDisks := func(f func(*tablet.Store) float64) func() float64 {
		return func() (sum float64) {
			for _, d := range n.host.Disks() {
				if d.Store != nil {
					sum += f(d.Store)
				}
			}
			return sum
		}
	}
	gauge("tablets", "Replicas on this backend.", overDisks(func(s *tablet.Store) float64 { return float64(s.TabletCount()) }))
	gauge("disks", "Disks that are open.", overDisks(func(*tablet.Store) float64 { return 1 }))
	gauge("disks_refusing_writes", "Disks that refuse writes: below their reserve, or failed.", overDisks(func(s *tablet.Store) float64 {
		if s.Usage().ReadOnly {
			return 1
		}
		return 0
	}))
	gauge("data_used_bytes", "Bytes of the stores.", overDisks(func(s *tablet.Store) float64 { return float64(s.Usage().DataUsed) }))
	gauge("clone_slots_used", "Clone slots taken on all disks.",
		overDisks(func(s *tablet.Store) float64 { return float64(n.slots.Used(s.ID())) }))
	n.storeMetrics(gauge, overDisks)
	gauge("local_connections", "Open connections of nodes of this machine by the Unix socket.", func() float64 { return float64(n.listener.Local()) })
	gauge("running_scans", "Scans under way.", func() float64 { return float64(n.scanner.Running()) })
	return r
}

// storeMetrics say where the memory of the stores goes and what they do in the background.
func (n *node) storeMetrics(gauge func(name, help string, f func() float64), overDisks func(func(*tablet.Store) float64) func() float64) {
	memory := func(name, help string, f func(tablet.Memory) int64) {
		gauge("memory_"+name+"_bytes", help, overDisks(func(s *tablet.Store) float64 { return float64(f(s.Memory())) }))
	}
	memory("deltas", "Decoded writes that are not in a rowset yet.", func(m tablet.Memory) int64 { return m.Deltas })
	memory("delta_limit", "Deltas at which writers wait for a flush.", func(m tablet.Memory) int64 { return m.DeltaLimit })
	memory("block_cache", "Most that block caches take.", func(m tablet.Memory) int64 { return m.BlockCaches })
	memory("index_cache", "Most that index caches take.", func(m tablet.Memory) int64 { return m.IndexCaches })
	memory("decoded_blocks", "Decoded values that reads of few rows come back to.", func(m tablet.Memory) int64 { return m.Decoded })
	memory("key_orders", "Orders of rows by the columns of secondary keys.", func(m tablet.Memory) int64 { return m.Orders })
	memory("memtables", "Most that memtables of the stores take.", func(m tablet.Memory) int64 { return m.Memtables })
	counter := func(name, help string, f func(tablet.Counters) int64) {
		gauge(name, help, overDisks(func(s *tablet.Store) float64 { return float64(f(s.Counters())) }))
	}
	counter("write_payload_bytes", "Bytes that writers sent since the start.", func(c tablet.Counters) int64 { return c.PayloadBytes })
	counter("flush_bytes", "Bytes that flushes wrote since the start.", func(c tablet.Counters) int64 { return c.FlushBytes })
	counter("compaction_bytes", "Bytes that compactions wrote since the start.", func(c tablet.Counters) int64 { return c.CompactionBytes })
	counter("compactions", "Merges since the start.", func(c tablet.Counters) int64 { return c.Compactions })
	counter("reclaimed_bytes", "Disk space that reclaim cycles gave back since the start.", func(c tablet.Counters) int64 { return c.ReclaimedBytes })
	counter("scan_vectors_read", "Vectors of up to 2,048 rows that scans read since the start.", func(c tablet.Counters) int64 { return c.VectorsRead })
	counter("scan_vectors_skipped_by_zone", "Vectors that scans passed over by the least and greatest value.", func(c tablet.Counters) int64 { return c.SkippedByZone })
	counter("scan_vectors_skipped_by_key", "Vectors that scans passed over by the filters of secondary keys.", func(c tablet.Counters) int64 { return c.SkippedByFilter })
	counter("scan_rows_by_order", "Rows that scans found by the orders of secondary keys.", func(c tablet.Counters) int64 { return c.RowsPicked })
	counter("key_orders_made", "Orders of row groups that were made.", func(c tablet.Counters) int64 { return c.OrdersMade })
	counter("scrubbed_bytes", "Bytes that the scrubber verified since the start.", func(c tablet.Counters) int64 { return c.ScrubbedBytes })
	counter("scrub_bad_replicas", "Replicas in which the scrubber found damage.", func(c tablet.Counters) int64 { return c.ScrubBad })
	counter("scrub_round_bytes", "Bytes verified in the present round.", func(c tablet.Counters) int64 { return c.ScrubRoundBytes })
	counter("scrub_round_total_bytes", "Bytes of the present round.", func(c tablet.Counters) int64 { return c.ScrubRoundTotal })
}
