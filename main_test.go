package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	for _, c := range []struct {
		args      []string
		code      int
		out, errs string // parts
	}{
		{nil, 2, "", "usage: stele COMMAND"},
		{[]string{"help"}, 0, "  sql      run SQL", ""},
		{[]string{"help", "local"}, 0, "usage: stele local", ""},
		{[]string{"help", "fe", "tool"}, 0, "usage: stele fe tool COMMAND", ""},
		{[]string{"help", "be", "tool", "ls"}, 0, "usage: stele be tool ls", ""},
		{[]string{"help", "version"}, 0, "stele ", ""},
		{[]string{"help", "fry"}, 2, "", `unknown command "fry"`},
		{[]string{"version"}, 0, "stele ", ""},
		{[]string{"--version"}, 0, "stele ", ""},
		{[]string{"fry"}, 2, "", `unknown command "fry"`},
		{[]string{"local", "--dir", t.TempDir(), "--backends", "1000"}, 1, "", "--backends 1000 must be"},
		{[]string{"local", "--help"}, 0, "usage: stele local", ""},
		{[]string{"local", "--bogus"}, 2, "", "See stele local --help."},
		{[]string{"node", "--bogus"}, 2, "", "See stele node --help."},
		{[]string{"be", "tool"}, 2, "", "usage: stele be tool COMMAND"},
		{[]string{"be", "tool", "ls", t.TempDir()}, 1, "", "not a disk of Stele"},
		{[]string{"sql", "-P", "1", "-e", "x"}, 1, "", "ERROR 2003"},
		{[]string{"be", "--conf", "absent.conf"}, 1, "", "stele: read configuration: open absent.conf: no such file or directory; name the one of this node, see --help"},
	} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), c.args, env{os.Stdin, &out, &errs}); code != c.code {
			t.Errorf("%v: code %d, want %d", c.args, code, c.code)
		}
		if !strings.Contains(out.String(), c.out) || !strings.Contains(errs.String(), c.errs) {
			t.Errorf("%v: printed %q and %q", c.args, out.String(), errs.String())
		}
	}
}

func TestRoleCommand(t *testing.T) {
	cmd := role("be", func(_ context.Context, confPath, _ string, stdout io.Writer) error {
		fmt.Fprintln(stdout, "conf", confPath)
		if confPath == "bad" {
			return errors.New("disk on fire")
		}
		return nil
	})
	for _, c := range []struct {
		args      []string
		code      int
		out, errs string
	}{
		{nil, 0, "conf conf/be.conf\n", ""},
		{[]string{"--conf", "x"}, 0, "conf x\n", ""},
		{[]string{"--conf", "bad"}, 1, "conf bad\n", "stele: disk on fire\n"},
		{[]string{"extra"}, 2, "", "stele be: unexpected argument \"extra\"\n"},
		{[]string{"--help"}, 0, "usage: stele be [--conf FILE]\n       stele be tool --help\n\n  --conf FILE          configuration file (default conf/be.conf)\n", ""},
		{[]string{"--bogus"}, 2, "", "stele be: flag provided but not defined: -bogus\n"},
	} {
		var out, errs bytes.Buffer
		if code := cmd(t.Context(), c.args, env{os.Stdin, &out, &errs}); code != c.code {
			t.Errorf("%v: code %d, want %d", c.args, code, c.code)
		}
		if out.String() != c.out || !strings.HasPrefix(errs.String(), c.errs) {
			t.Errorf("%v: printed %q and %q", c.args, out.String(), errs.String())
		}
	}
}

// TestBETmpDir: a folder for temporary files that cannot be made is told at start, and not by the first query that spills.
func TestBETmpDir(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "be.conf")
	if err := os.WriteFile(file, []byte("tmp_dir = be.conf\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ended, end := context.WithCancel(t.Context())
	end() // one that starts ends at once
	var out, errs bytes.Buffer
	if code := run(ended, []string{"be", "--conf", file}, env{os.Stdin, &out, &errs}); code != 1 || !strings.HasPrefix(errs.String(), "stele: tmp_dir: ") {
		t.Errorf("code %d, %q", code, errs.String())
	}
}
