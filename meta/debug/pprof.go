// Package debug mounts Go's profiles on the HTTP port of a node. They tell nothing of the data, and cost nothing until
// somebody asks.
package debug

import (
	"net/http"
	"net/http/pprof"
)

// Mount adds /debug/pprof/ to mux.
func Mount(mux *http.ServeMux) {
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
}
