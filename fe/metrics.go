package fe

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"stele/fe/server"
)

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
	n.traffic(r)
	return r
}

// traffic registers what the MySQL endpoint counts.
func (n *node) traffic(r *prometheus.Registry) {
	for _, c := range []struct {
		name, help string
		value      func(server.Stats) float64
	}{
		{"connections_accepted_total", "Client connections taken.", func(s server.Stats) float64 { return float64(s.Accepted) }},
		{"connections_refused_total", "Client connections turned away because there were max_connections.", func(s server.Stats) float64 { return float64(s.Refused) }},
		{"connections_aborted_total", "Client connections that ended by an error or without saying so.", func(s server.Stats) float64 { return float64(s.Aborted) }},
		{"logins_failed_total", "Logins that failed: wrong passwords, bad handshakes and those that took too long.", func(s server.Stats) float64 { return float64(s.LoginFailures) }},
		{"logins_tls_total", "Logins inside TLS.", func(s server.Stats) float64 { return float64(s.TLSLogins) }},
		{"queries_total", "Texts of statements that clients have sent.", func(s server.Stats) float64 { return float64(s.Queries) }},
		{"executes_total", "Executions of prepared statements.", func(s server.Stats) float64 { return float64(s.Executes) }},
		{"errors_total", "Errors sent to clients.", func(s server.Stats) float64 { return float64(s.Errors) }},
		{"killed_total", "Statements and connections that were killed.", func(s server.Stats) float64 { return float64(s.Killed) }},
		{"panics_total", "Panics that were contained: each is a bug.", func(s server.Stats) float64 { return float64(s.Panics) }},
		{"rows_sent_total", "Rows sent to clients.", func(s server.Stats) float64 { return float64(s.RowsSent) }},
		{"received_bytes_total", "Bytes from clients, as on the wire.", func(s server.Stats) float64 { return float64(s.BytesReceived) }},
		{"sent_bytes_total", "Bytes to clients, as on the wire.", func(s server.Stats) float64 { return float64(s.BytesSent) }},
	} {
		r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: "stele", Subsystem: "fe", Name: c.name, Help: c.help},
			func() float64 { return c.value(n.served()) }))
	}
	for _, g := range []struct {
		name, help string
		value      func(server.Stats) int64
	}{
		{"connections_running", "Client connections that run a statement.", func(s server.Stats) int64 { return s.Running }},
		{"prepared_statements", "Open prepared statements.", func(s server.Stats) int64 { return s.Prepared }},
	} {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "stele", Subsystem: "fe", Name: g.name, Help: g.help},
			func() float64 { return float64(g.value(n.served())) }))
	}
}

// served is what the MySQL endpoint has counted, nothing before it is open.
func (n *node) served() server.Stats {
	if mysql := n.mysql.Load(); mysql != nil {
		return mysql.Stats()
	}
	return server.Stats{}
}
