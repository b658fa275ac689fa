package fe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"stele/fe/web"
	"stele/meta/debug"
)

func hostPort(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

// serveHTTP answers probes, metrics and the pages of the system tables until ctx ends.
func (n *node) serveHTTP(ctx context.Context, pages *web.Handler) error {
	lis, err := net.Listen("tcp", n.httpAddress())
	if err != nil {
		return fmt.Errorf("listen for http: %w", err)
	}
	mux := http.NewServeMux()
	debug.Mount(mux)
	pages.Mount(mux)
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		if !n.meta.IsLeader() && n.quorum.LeaderAddress() == "" {
			http.Error(w, "this fe knows of no leading fe", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(n.metrics(), promhttp.HandlerOpts{}))
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	if err := srv.Serve(lis); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// metrics are the process's own, and what the FE counts.
func (n *node) metrics() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	gauge := func(name, help string, f func() float64) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "stele", Subsystem: "fe", Name: name, Help: help}, f))
	}
	gauge("tablets", "Tablets in the catalog.", func() float64 { return float64(n.meta.Current().TabletCount()) })
	gauge("replicas", "Replicas in the catalog.", func() float64 { return float64(n.meta.Current().ReplicaCount()) })
	gauge("raft_applied_index", "Last log entry applied.", func() float64 { return float64(n.meta.AppliedIndex()) })
	gauge("redo_bytes", "Bytes of rows that commits carry and replicas do not have on disk for certain.", func() float64 { return float64(n.meta.Current().RedoBytes()) })
	gauge("redo_tablets", "Tablets with such rows.", func() float64 { return float64(n.meta.Current().RedoTablets()) })
	gauge("local_connections", "Open connections of nodes of this machine by the Unix socket.", func() float64 { return float64(n.listener.Local()) })
	gauge("disks_refusing_writes", "Disks of backends that refuse writes, as far as this FE has heard.", func() (sum float64) {
		for be := range n.meta.Current().BEs() {
			known, _ := n.cluster.Get(be.ID)
			for i := range known.Disks {
				if known.Disks[i].Refuses {
					sum++
				}
			}
		}
		return sum
	})
	gauge("connections", "Open client connections.", func() float64 { return float64(len(n.mysql.Load().Connections())) })
	return r
}
