package conf

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func mustParse(t *testing.T, r *Registry, text string) *Values {
	t.Helper()
	v, err := r.Parse(r.Name()+".conf", []byte(text), "/base")
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestParseGoodFiles(t *testing.T) {
	v := mustParse(t, FE, `
# a comment
query_port = 19030   # trailing comment
host=10.0.0.1
meta_dir = "sub#dir/x # y" # quoted
seeds = a:1, b:2,,
schedule_slot_num_per_path = 7
heartbeat_interval_ms = 250
max_allowed_packet = 16MiB
tablet_sched_balance_load_score_threshold = 0.25
bootstrap = ON
mysql_tls_cert = /abs/c.pem
mysql_tls_key = k.pem
`)
	for _, c := range []struct{ name, have, want string }{
		{"host", FEHost.Get(v), "10.0.0.1"},
		{"meta_dir", MetaDir.Get(v), "/base/sub#dir/x # y"},
		{"cert", MySQLTLSCert.Get(v), "/abs/c.pem"},
		{"key", MySQLTLSKey.Get(v), "/base/k.pem"},
		{"seeds", strings.Join(FESeeds.Get(v), "|"), "a:1|b:2"},
		{"default path", FELogDir.Get(v), "/base/log"},
		{"alias origin", v.Origin(SlotNumPerPath.Spec).String(), "file fe.conf:7"},
		{"default origin", v.Origin(FEHTTPPort.Spec).String(), "default"},
		{"bytes text", v.Text(MaxAllowedPacket.Spec), "16777216"},
		{"duration text", v.Text(HeartbeatInterval.Spec), "250"},
	} {
		if c.have != c.want {
			t.Errorf("%s = %q, want %q", c.name, c.have, c.want)
		}
	}
	if QueryPort.Get(v) != 19030 || SlotNumPerPath.Get(v) != 7 || !Bootstrap.Get(v) ||
		HeartbeatInterval.Get(v) != 250*time.Millisecond || BalanceLoadScoreThreshold.Get(v) != 0.25 {
		t.Error("typed getters disagree with the file")
	}
}

// TestAllFaultsAtOnce gives one file everything wrong that a file can have and expects a line for each.
func TestAllFaultsAtOnce(t *testing.T) {
	_, err := FE.Parse("fe.conf", []byte(`query_prot = 1
query_port = 70000
bootstrap = maybe
nonsense
log_level = loud
host = "open
http_port = 1
http_port = 2
max_allowed_packet = 12 parsecs
tablet_sched_balance_load_score_threshold = NaN
rpc_port = x
host = "a" b
zzzzzzzzzzzzzz = 1
`), "/base")
	var faults Faults
	if !errors.As(err, &faults) {
		t.Fatalf("error is %T: %v", err, err)
	}
	want := []string{
		`fe.conf:1: query_prot = "1" is no known item; did you mean "query_port"?`,
		`fe.conf:2: query_port = "70000" must be 1 to 65535`,
		`fe.conf:3: bootstrap = "maybe" must be true or false`,
		"fe.conf:4: expected `key = value`, found \"nonsense\"",
		`fe.conf:5: log_level = "loud" must be one of debug, info, warn, error`,
		`fe.conf:6: host = " \"open" has no closing quote`,
		`fe.conf:8: http_port = "2" is set a second time, first in fe.conf:7`,
		`fe.conf:9: max_allowed_packet = "12 parsecs" must be a number of bytes such as 1048576 or 64M, 1024 to 1073741824`,
		`fe.conf:10: tablet_sched_balance_load_score_threshold = "NaN" must be a number, 0.001 to 1`,
		`fe.conf:11: rpc_port = "x" must be a whole number, 1 to 65535`,
		`fe.conf:12: host = " \"a\" b" goes on after the closing quote`,
		`fe.conf:13: zzzzzzzzzzzzzz = "1" is no known item`,
	}
	if have := strings.Split(err.Error(), "\n"); !slices.Equal(have, want) {
		t.Errorf("faults:\n%s\nwant:\n%s", err, strings.Join(want, "\n"))
	}
}

func TestCrossChecks(t *testing.T) {
	for _, c := range []struct {
		reg  *Registry
		text string
		want string
	}{
		{FE, "http_port = 9030", `fe.conf:1: http_port = "9030" is the port of query_port already`},
		{FE, "mysql_tls_cert = a", "needs mysql_tls_key"},
		{FE, "min_clone_task_timeout_sec = 8000", "is above tablet_sched_max_clone_task_timeout_sec"},
		{FE, "raft_leader_lease_timeout_ms = 600", "two FEs could believe to lead"},
		{FE, "raft_election_timeout_ms = 100", "is below raft_heartbeat_timeout_ms"},
		{FE, "gossip_keys = c2hvcnQ=", `gossip_keys = "…" has a key (number 1) of 5 bytes`},
		{BE, "gossip_keys = MDEyMzQ1Njc4OWFiY2RlZg==, %%", `be.conf:1: gossip_keys = "…" has a key (number 2) that is no base64`},
		{BE, "tls_cert = a", "is needed together with tls_key and tls_ca"},
		{BE, "rpc_port = 8040", "is the port of rpc_port already"},
		{FE, "host =", `fe.conf:1: host = "" must be a host name or an IP address, without a port`},
		{FE, "host = two words", "without a port"},
		{FE, "host = fe1:9030", "without a port"},
		{BE, "host = [::1]", "without a port"},
		{FE, "seeds = fe1:9011, fe2", `has "fe2", which is no host:port`},
		{FE, "fe_helpers = fe1:rpc", `has "fe1:rpc", which is no host:port`},
		{FE, "fe_helpers = fe1:70000", "which is no host:port"},
		{BE, "seeds = :9011", `be.conf:1: seeds = ":9011" has ":9011", which is no host:port`},
		{FE, "meta_dir =", `fe.conf:1: meta_dir = "" must name a folder`},
		{FE, "log_dir =", "must name a folder"},
		{BE, "log_dir =", "must name a folder"},
		{BE, "storage_root_path = a;a/b", "has the folder /base/a/b within /base/a"},
		{BE, "storage_root_path = b;/", "has the folder /base/b within /"},
	} {
		_, err := c.reg.Parse(c.reg.Name()+".conf", []byte(c.text), "/base")
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.text, err, c.want)
		}
	}
}

func TestStorageRootPath(t *testing.T) {
	for _, c := range []struct {
		text, want, fault string
	}{
		{"a", "/base/a,medium:hdd", ""},
		{"/x/a.SSD;/b,medium:ssd;/c.SSD,medium:hdd;", "/x/a.SSD,medium:ssd;/b,medium:ssd;/c.SSD,medium:hdd", ""},
		{"/a , MEDIUM : SSD , capacity:50", "/a,medium:ssd,capacity:53687091200B", ""},
		{"/a,capacity:100MB", "/a,medium:hdd,capacity:104857600B", ""},
		{"/a,capacity:much", "", "bad capacity"},
		{"/a;/b/../a", "", "twice"},
		{"/a,medium:tape", "", `unknown medium "tape"`},
		{"/a,colour:red", "", `unknown property "colour"`},
		{",medium:ssd", "", "without a folder"},
		{";", "", "1 to 64 disks"},
		{"none", "none", ""},
	} {
		v, err := BE.Parse("be.conf", []byte("storage_root_path = "+c.text), "/base")
		switch {
		case c.fault != "":
			if err == nil || !strings.Contains(err.Error(), c.fault) {
				t.Errorf("%q: error %v, want %q", c.text, err, c.fault)
			}
		case err != nil:
			t.Errorf("%q: %v", c.text, err)
		case v.Text(StorageRootPath.Spec) != c.want:
			t.Errorf("%q is %q, want %q", c.text, v.Text(StorageRootPath.Spec), c.want)
		}
	}
}

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "be.conf")
	if err := os.WriteFile(path, []byte("log_dir = l\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	v, err := BE.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(filepath.Dir(path), "l"); BELogDir.Get(v) != want {
		t.Errorf("log_dir is %q, want %q", BELogDir.Get(v), want)
	}
	if _, err := BE.Load(path + ".absent"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("absent file: %v", err)
	}
}

func TestRuntimeSet(t *testing.T) {
	l := NewLive(mustParse(t, FE, "disable_balance = true"))
	var heard []string
	remove := l.OnChange(func(old, now *Values) {
		heard = append(heard, old.Text(DisableBalance.Spec)+">"+now.Text(DisableBalance.Spec))
	})
	before := l.Load()
	after, err := l.Set("disable_balance", " false ")
	if err != nil {
		t.Fatal(err)
	}
	if !DisableBalance.Get(before) || DisableBalance.Get(after) || l.Load() != after {
		t.Error("the change did not make a new snapshot beside the old one")
	}
	if got := after.Origin(DisableBalance.Spec).String(); got != "runtime" {
		t.Errorf("origin %q", got)
	}
	if _, err := l.Set("query_port", "1"); !errors.Is(err, ErrFixed) {
		t.Errorf("fixed item: %v", err)
	}
	if _, err := l.Set("disable_balanse", "1"); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "disable_balance") {
		t.Errorf("unknown item: %v", err)
	}
	var faults Faults
	if _, err := l.Set("tablet_sched_slot_num_per_path", "65"); !errors.As(err, &faults) {
		t.Errorf("out of range: %v", err)
	}
	if _, err := l.Set("max_clone_task_timeout_sec", "5"); !errors.As(err, &faults) {
		t.Errorf("cross-check at runtime: %v", err)
	}
	remove()
	if _, err := l.Set("disable_balance", "true"); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(heard, []string{"true>false"}) {
		t.Errorf("hooks heard %v", heard)
	}
}

// TestEveryMutableItemChanges sets each mutable item to its own default at runtime: the operator's way back must work.
func TestEveryMutableItemChanges(t *testing.T) {
	v := FE.Defaults("/base")
	for _, s := range FE.All() {
		if !s.Mutable {
			continue
		}
		next, err := v.With(s.Key, s.Default)
		if err != nil {
			t.Errorf("%s: %v", s.Key, err)
		} else if next.Text(s) != v.Text(s) {
			t.Errorf("%s: %q is not %q", s.Key, next.Text(s), v.Text(s))
		}
	}
}

func TestDeclarations(t *testing.T) {
	for _, r := range []*Registry{FE, BE} {
		all := r.All()
		if !slices.IsSortedFunc(all, func(a, b *Spec) int { return strings.Compare(a.Key, b.Key) }) {
			t.Errorf("%s: All is not sorted", r.Name())
		}
		for _, s := range all {
			if !strings.HasSuffix(s.Doc, ".") || s.Key != strings.ToLower(s.Key) {
				t.Errorf("%s: name in lower case and documentation of whole sentences, please: %q", s.Key, s.Doc)
			}
			if (s.Type == Int || s.Type == Long || s.Type == Double) && s.Bounds == "" {
				t.Errorf("%s: a number without bounds", s.Key)
			}
			for _, alias := range s.Aliases {
				if found, ok := r.Lookup(alias); !ok || found != s {
					t.Errorf("alias %s does not lead to %s", alias, s.Key)
				}
			}
		}
	}
	if got := SlotNumPerPath.AliasNames() + QueryPort.AliasNames(); got != "[schedule_slot_num_per_path][]" {
		t.Errorf("alias names %q", got)
	}
}

func TestValuesOfTheOtherRegistryPanic(t *testing.T) {
	defer func() {
		if text, _ := recover().(string); !strings.HasPrefix(text, "BUG:") {
			t.Errorf("recovered %q", text)
		}
	}()
	QueryPort.Get(BE.Defaults("/base"))
}

// TestTextRoundTrip proves for random good values that the shown text, written to a file, gives the same value again.
func TestTextRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		size := rapid.Int64Range(1024, gib).Draw(rt, "size")
		ratio := rapid.Float64Range(0.001, 1).Draw(rt, "ratio")
		span := rapid.Int64Range(50, 60000).Draw(rt, "span")
		v := FE.Defaults("/base")
		if err := v.set(MaxAllowedPacket.Spec, MaxAllowedPacket.format(size), Origin{}); err != nil {
			rt.Fatal(err)
		}
		if err := v.set(BalanceLoadScoreThreshold.Spec, BalanceLoadScoreThreshold.format(ratio), Origin{}); err != nil {
			rt.Fatal(err)
		}
		if err := v.set(HeartbeatInterval.Spec, HeartbeatInterval.format(time.Duration(span)*time.Millisecond), Origin{}); err != nil {
			rt.Fatal(err)
		}
		var file strings.Builder
		for _, s := range FE.All() {
			file.WriteString(s.Key + " = " + v.Text(s) + "\n")
		}
		again, err := FE.Parse("fe.conf", []byte(file.String()), "/elsewhere")
		if err != nil {
			rt.Fatal(err)
		}
		if !reflect.DeepEqual(v.vals, again.vals) {
			rt.Fatalf("values changed on the way through a file:\n%v\n%v", v.vals, again.vals)
		}
	})
}

// FuzzParse: any text gives values or faults, never a panic, and every fault can be printed on its own line.
func FuzzParse(f *testing.F) {
	f.Add("query_port = 1\n# c\nhost = \"x\"")
	f.Add("storage_root_path = a,medium:ssd;b")
	f.Add("max_allowed_packet = 9999999999T\nretention_bytes = 1iB")
	f.Add("=\n\"\x00 = \"\\")
	f.Fuzz(func(t *testing.T, text string) {
		for _, r := range []*Registry{FE, BE} {
			v, err := r.Parse("x.conf", []byte(text), "/base")
			if (v == nil) == (err == nil) {
				t.Fatalf("values %v together with error %v", v, err)
			}
			if err != nil && err.Error() == "" {
				t.Fatal("fault without a text")
			}
		}
	})
}
