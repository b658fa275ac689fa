package fe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

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
