// Package tool is "stele be tool": it lists, dumps, verifies and repairs the disk of a BE that is not running.
//
// It never opens a disk that a BE has open (the store's lock keeps it out) and never writes, except for --recover, which
// replays the logs as a starting BE would, and for repair --yes. Repair never deletes a row of a sound replica: it marks
// damaged replicas bad, so that the cluster clones them again, and deletes what no record names. What may be the rows of a replica whose record
// is lost is named by itself before it is deleted.
package tool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"stele/be/tablet"
	"stele/conf/cmdline"
)

// Exit codes.
const (
	exitOK     = cmdline.ExitOK
	exitDamage = cmdline.ExitFailed // damage was found, or the command failed
	exitUsage  = cmdline.ExitUsage
)

const usage = `usage: stele be tool COMMAND [flags] DIR [arguments]

DIR is the folder store (with meta and data) in a storage root path of a BE that is not running.

  ls        list the replicas on the disk: versions, rows, rowsets, bytes
  dump      print the rows of a replica, tab-separated: dump [--version N] DIR TABLET
  verify    read and check everything; exit code 1 with a list when something is damaged
  segments  walk the files of large values one by one, without the key-value stores:
            how many records there are, and what is damaged or cannot be read
  repair    say what verify found and what could be cleaned up; with --yes do it:
            damaged replicas are marked bad, so that the cluster clones them again,
            and data that no record names is deleted

A disk whose BE was killed has logs to replay: --recover does that first, as a starting BE would.
Each command lists its flags with --help.
`

// invocation is one run of a command.
type invocation struct {
	ctx      context.Context
	out, err io.Writer
	dir      string
	args     []string // after DIR
	recover  bool
	yes      bool
	header   bool
	rowsets  bool
	version  uint64
}

// command is one subcommand.
type command struct {
	flags func(*cmdline.Set, *invocation)
	more  []string // arguments that follow DIR
	run   func(*invocation) (int, error)
}

var commands = map[string]command{
	"ls": {run: list, flags: func(f *cmdline.Set, i *invocation) {
		f.BoolVar(&i.rowsets, "rowsets", false, "also list the rowsets of each replica")
	}},
	"dump": {run: dump, more: []string{"TABLET"}, flags: func(f *cmdline.Set, i *invocation) {
		f.Uint64Var(&i.version, "version", 0, "the version to read; 0 is the newest")
		f.BoolVar(&i.header, "header", true, "print the names of the columns first")
	}},
	"segments": {run: segments, flags: func(*cmdline.Set, *invocation) {}},
	"verify":   {run: verify, flags: func(*cmdline.Set, *invocation) {}},
	"repair": {run: repair, flags: func(f *cmdline.Set, i *invocation) {
		f.BoolVar(&i.yes, "yes", false, "really change the disk")
	}},
}

// Command runs "stele be tool" with the arguments after it and returns the exit code.
func Command(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return exitUsage
	}
	if slices.Contains([]string{"help", "-h", "--help"}, args[0]) {
		fmt.Fprint(stdout, usage)
		return exitOK
	}
	c, ok := commands[args[0]]
	if !ok {
		fmt.Fprintf(stderr, "stele be tool: unknown command %q\nSee stele be tool --help.\n", args[0])
		return exitUsage
	}
	i := &invocation{ctx: ctx, out: stdout, err: stderr}
	name := "stele be tool " + args[0]
	line := fmt.Sprintf("usage: %s [flags] %s\n", name, strings.Join(append([]string{"DIR"}, c.more...), " "))
	flags := cmdline.New(name, line, stdout, stderr)
	flags.BoolVar(&i.recover, "recover", false, "first replay the logs of a BE that was killed")
	c.flags(flags, i)
	rest, code, ok := flags.Parse(args[1:], 1+len(c.more), 1+len(c.more))
	if !ok {
		return code
	}
	i.dir, i.args = rest[0], rest[1:]
	code, err := c.run(i)
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", name, err)
		return max(code, exitDamage)
	}
	return code
}

// open opens the disk for reading.
func (i *invocation) open() (*tablet.Store, error) {
	if i.recover {
		if err := tablet.RecoverOffline(i.dir, tablet.Options{}); err != nil {
			return nil, explain(err)
		}
	}
	s, err := tablet.OpenOffline(i.dir, tablet.Options{})
	if err != nil {
		return nil, explain(err)
	}
	return s, nil
}

// explain adds what to do next.
func explain(err error) error {
	switch {
	case errors.Is(err, tablet.ErrUnclean):
		return fmt.Errorf("%w (the BE was killed: --recover replays its logs first, as starting it would)", err)
	case errors.Is(err, tablet.ErrInUse):
		return fmt.Errorf("%w (is its BE still running? Stop it first)", err)
	}
	return err
}
