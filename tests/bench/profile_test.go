//go:build bench

package bench

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

var (
	perf     = flag.String("perf", "", "folder for profiles by Linux perf, one for each measurement of Stele with 1 node; the figures suffer")
	profiles = flag.String("profiles", "", "folder for CPU profiles of Stele with 1 node, one for each measurement, as `make pgo` needs them")
)

// profiler records Stele with 1 node while something runs, when a flag asks for it.
func profiler(t *testing.T) func(*Server, string) func() {
	return func(s *Server, what string) func() {
		name := strings.NewReplacer(" ", "-", ",", "").Replace(what)
		switch {
		case s.Name != oneNode:
		case *perf != "":
			return record(t, s, filepath.Join(*perf, name+".perf"))
		case *profiles != "":
			return sample(t, s, filepath.Join(*profiles, name+".pprof"))
		}
		return func() {}
	}
}

// record has Linux perf watch the node until stop is called.
func record(t *testing.T, s *Server, path string) (stop func()) {
	var pids []string
	for _, node := range s.Cluster.Nodes() {
		pid, err := pidOf(s, node)
		must(t, err)
		pids = append(pids, strconv.Itoa(pid))
	}
	cmd := exec.Command("perf", "record", "-q", "-g", "-F", "199", "-o", path, "-p", strings.Join(pids, ","))
	must(t, cmd.Start())
	return func() {
		_ = cmd.Process.Signal(os.Interrupt) // fails when it has ended by itself, which its missing file tells
		_ = cmd.Wait()
	}
}

// sample has the node profile itself for about as long as a measurement takes. stop waits for that.
func sample(t *testing.T, s *Server, path string) (stop func()) {
	seconds := max(1, int(span.Round(time.Second)/time.Second))
	url := fmt.Sprintf("http://127.0.0.1:%d/debug/pprof/profile?seconds=%d", s.Cluster.HTTPPort, seconds)
	done := make(chan error, 1)
	go func() { done <- fetch(t, url, path) }()
	return func() { must(t, <-done) }
}

func fetch(t *testing.T, url, path string) error {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", url, resp.Status, body)
	}
	return os.WriteFile(path, body, 0o640)
}
