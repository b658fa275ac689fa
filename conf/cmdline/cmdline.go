// Package cmdline reads the flags of stele's subcommands, so that all of them explain themselves and refuse alike.
//
// --help goes to standard output and is no failure. What is wrong goes to standard error as one line that names the command and the fault, and
// one that says where help is; the exit code is then ExitUsage. The package decides nothing else.
package cmdline

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
)

// Exit codes of all subcommands.
const (
	ExitOK     = 0
	ExitFailed = 1
	ExitUsage  = 2 // the command line was wrong and nothing was done
)

// Set has the flags of one subcommand.
type Set struct {
	*flag.FlagSet
	usage          string
	stdout, stderr io.Writer
}

// New returns an empty set for the command of that name, as in "stele fe". usage says how it is called, by lines that end with a newline.
func New(name, usage string, stdout, stderr io.Writer) *Set {
	s := &Set{flag.NewFlagSet(name, flag.ContinueOnError), usage, stdout, stderr}
	s.SetOutput(io.Discard) // Parse says what there is to say
	s.Usage = func() {}
	return s
}

// Parse reads the flags, before, between and behind what are none, and returns the others, of which there may be some from least to most.
// Behind "--" nothing is a flag. If the command is not to run it has said why, and ok is false.
func (s *Set) Parse(args []string, least, most int) (rest []string, code int, ok bool) {
	for {
		switch err := s.FlagSet.Parse(args); {
		case errors.Is(err, flag.ErrHelp):
			s.help()
			return nil, ExitOK, false
		case err != nil:
			return nil, s.Refuse("%v", err), false
		}
		read := len(args) - s.NArg()
		ended := read > 0 && args[read-1] == "--" // behind which nothing is a flag
		if args = s.Args(); len(args) == 0 || ended {
			rest = append(rest, args...)
			break
		}
		rest, args = append(rest, args[0]), args[1:]
	}
	switch {
	case len(rest) > most:
		return nil, s.Refuse("unexpected argument %q", rest[most]), false
	case len(rest) < least:
		return nil, s.Refuse("%d arguments, not %d", len(rest), least), false
	}
	return rest, ExitOK, true
}

// Refuse says what is wrong with the command line, and returns the exit code for it.
func (s *Set) Refuse(format string, args ...any) int {
	fmt.Fprintf(s.stderr, "%s: %s\nSee %s --help.\n", s.Name(), fmt.Sprintf(format, args...), s.Name())
	return ExitUsage
}

// help prints how the command is called, and its flags as they are written in scripts: --name, or -n.
func (s *Set) help() {
	fmt.Fprint(s.stdout, s.usage)
	first := true
	s.VisitAll(func(f *flag.Flag) {
		if first {
			fmt.Fprintln(s.stdout)
			first = false
		}
		value, text := flag.UnquoteUsage(f)
		name := strings.TrimSpace(dashes(f.Name) + " " + strings.ToUpper(value))
		if !strings.Contains(text, "default") && f.DefValue != "" && f.DefValue != "0" && f.DefValue != "false" {
			text += " (default " + f.DefValue + ")"
		}
		fmt.Fprintf(s.stdout, "  %-20s %s\n", name, text)
	})
}

func dashes(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}
