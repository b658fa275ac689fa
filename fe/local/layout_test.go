package local

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"stele/conf"
)

// completeLayout lays out what the options ask for, wherever anybody listens.
func completeLayout(opts Options) (*layout, error) {
	l, want, err := planLayout(opts)
	if err != nil {
		return nil, err
	}
	return l, l.layOut(want)
}

func TestLayoutOnDisk(t *testing.T) {
	dir := t.TempDir()
	opts := Options{Dir: dir, Frontends: 2, Backends: 2, Disks: 2, MySQLPort: 9030, HTTPPort: 8030}
	if _, err := completeLayout(opts); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"fe1/meta", "fe2/meta", "fe1/log", "be1/storage1", "be2/storage2", "be1/log"} {
		if info, err := os.Stat(filepath.Join(dir, path)); err != nil || !info.IsDir() {
			t.Errorf("folder %s: %v", path, err)
		}
	}
	fe2, err := conf.FE.Load(filepath.Join(dir, "fe2", "fe.conf"))
	if err != nil {
		t.Fatal(err)
	}
	be2, err := conf.BE.Load(filepath.Join(dir, "be2", "be.conf"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ what, have, want string }{
		{"fe2 query_port", fe2.Text(conf.QueryPort.Spec), "9031"},
		{"fe2 http_port", fe2.Text(conf.FEHTTPPort.Spec), "8031"},
		{"fe2 edit_log_port", fe2.Text(conf.EditLogPort.Spec), "9231"},
		{"fe2 bootstrap", fe2.Text(conf.Bootstrap.Spec), "false"},
		{"fe2 seeds", fe2.Text(conf.FESeeds.Spec), "127.0.0.1:9330"},
		{"fe2 replicas", fe2.Text(conf.DefaultReplicationNum.Spec), "2"},
		{"be2 rpc_port", be2.Text(conf.BERPCPort.Spec), "9431"},
		{"be2 seeds", be2.Text(conf.BESeeds.Spec), "127.0.0.1:9330,127.0.0.1:9331"},
		{"be2 disks", be2.Text(conf.StorageRootPath.Spec), strings.Join([]string{
			filepath.Join(dir, "be2", "storage1,medium:hdd"), filepath.Join(dir, "be2", "storage2,medium:hdd")}, ";")},
	} {
		if c.have != c.want {
			t.Errorf("%s is %q, want %q", c.what, c.have, c.want)
		}
	}
}

func TestFlagsAgainstAnExistingLayout(t *testing.T) {
	dir := t.TempDir()
	first := Options{Dir: dir, Frontends: 1, Backends: 2, Disks: 1, MySQLPort: 9030, HTTPPort: 8030}
	if _, err := completeLayout(first); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		opts Options
		want string // part of the error, or empty
		be   int    // backends afterwards
	}{
		{"nothing said", Options{}, "", 2},
		{"the same said", first, "", 2},
		{"fewer backends", Options{Backends: 1}, "--backends 1, but it is 2 there", 2},
		{"other ports", Options{MySQLPort: 1234, HTTPPort: 8031}, "--mysql-port 1234, but it is 9030 there; --http-port 8031", 2},
		{"other disks", Options{Disks: 2}, "--disks 2, but it is 1 there", 2},
		{"one more backend", Options{Backends: 3}, "", 3},
	} {
		c.opts.Dir = dir
		l, err := completeLayout(c.opts)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
		if err == nil && len(l.backends) != c.be {
			t.Errorf("%s: %d backends, want %d", c.name, len(l.backends), c.be)
		}
	}
}

func TestImpossibleLayouts(t *testing.T) {
	for _, c := range []struct {
		opts Options
		want string
	}{
		{Options{HTTPPort: 9430}, "both listen on 127.0.0.1:9430"},
		{Options{MySQLPort: 65000}, "--mysql-port 65000 must be 1 to"},
		{Options{Backends: 100}, "--backends 100 must be 1 to 99"},
		{Options{Disks: -1}, "--disks -1 must be"},
	} {
		c.opts.Dir = t.TempDir()
		if _, err := completeLayout(c.opts); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
		if entries, err := os.ReadDir(c.opts.Dir); err != nil || len(entries) != 0 {
			t.Errorf("a refused layout left %v behind (%v)", entries, err)
		}
	}
}

func TestBrokenConfIsNotOverwritten(t *testing.T) {
	dir := t.TempDir()
	if _, err := completeLayout(Options{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "be1", "be.conf")
	if err := os.WriteFile(path, []byte("rpc_prot = 1"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := completeLayout(Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), `did you mean "rpc_port"`) {
		t.Errorf("error %v", err)
	}
}

// scripted is a session whose answers a test writes down.
type scripted struct {
	rows map[string][]map[string]string
	done []string
}

func (s *scripted) Rows(_ context.Context, q string) ([]map[string]string, error) {
	return s.rows[q], nil
}
func (s *scripted) Exec(_ context.Context, q string) error { s.done = append(s.done, q); return nil }
func (s *scripted) Close() error                           { return nil }

func TestRegisterAll(t *testing.T) {
	l := &layout{}
	for number := 1; number <= 2; number++ {
		l.add(newNode("/x", "fe", number, Options{MySQLPort: 9030, HTTPPort: 8030}))
		l.add(newNode("/x", "be", number, Options{MySQLPort: 9030}))
	}
	fe := func(port, join string) map[string]string {
		return map[string]string{"ip": "127.0.0.1", "editlogport": port, "alive": "true", "join": join}
	}
	be := func(port, alive string) map[string]string {
		return map[string]string{"ip": "127.0.0.1", "heartbeatport": port, "beport": port, "alive": alive}
	}
	bothFEs := []map[string]string{fe("9230", "true"), fe("9231", "true")}
	for _, c := range []struct {
		name     string
		fes, bes []map[string]string
		done     []string
		problem  string
	}{
		{"second FE unknown", bothFEs[:1], nil, []string{`ALTER SYSTEM ADD FOLLOWER "127.0.0.1:9231"`}, "just added"},
		{"second FE without a vote", []map[string]string{fe("9230", "true"), fe("9231", "false")}, nil, nil, "fe2"},
		{"all BEs unknown", bothFEs, nil, []string{`ALTER SYSTEM ADD BACKEND "127.0.0.1:9430", "127.0.0.1:9431"`}, "just added"},
		{"one BE unknown", bothFEs, []map[string]string{be("9430", "true")}, []string{`ALTER SYSTEM ADD BACKEND "127.0.0.1:9431"`}, "just added"},
		{"one BE dead", bothFEs, []map[string]string{be("9430", "TRUE"), be("9431", "false")}, nil, "be2"},
		{"all alive", bothFEs, []map[string]string{be("9430", "true"), be("9431", "true")}, nil, ""},
	} {
		s := &scripted{rows: map[string][]map[string]string{"SHOW FRONTENDS": c.fes, "SHOW BACKENDS": c.bes}}
		err := registerAll(t.Context(), s, l)
		if (err == nil) != (c.problem == "") || err != nil && !strings.Contains(err.Error(), c.problem) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.problem)
		}
		if !slices.Equal(s.done, c.done) {
			t.Errorf("%s: statements %q, want %q", c.name, s.done, c.done)
		}
	}
}

func TestCommandLine(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"start"}, "stele local start: 0 arguments, not 1"},
		{[]string{"stop", "be9", "--dir", dir}, "holds no cluster"},
		{[]string{"kill", "--dir", dir, "fe1"}, "holds no cluster"},
		{[]string{"--dir", dir, "be1"}, `unexpected argument "be1"`},
		{[]string{"--frontend", "1"}, "flag provided but not defined"},
		{[]string{"start", "be1", "--guard"}, "flag provided but not defined"},
		{[]string{"--dir", dir, "--mysql-port", "70000"}, "--mysql-port 70000 must be"},
	} {
		var errs bytes.Buffer
		if code := Command(t.Context(), c.args, io.Discard, &errs); code == 0 || !strings.Contains(errs.String(), c.want) {
			t.Errorf("%v: code %d, %q, want %q", c.args, code, errs.String(), c.want)
		}
	}
}
