// Command stele is every process of a Stele cluster and its tools: a frontend, a backend, a whole cluster on one
// machine, and a SQL prompt. This file only chooses among them; each command owns its flags and its work.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"stele/be"
	"stele/be/tool"
	"stele/conf/cmdline"
	"stele/fe"
	"stele/fe/console"
	"stele/fe/local"
	"stele/fe/metatool"
)

// version is set by the linker (see Makefile); a plain `go build` shows the commit instead.
var version string

// env is what a command may use of the outer world.
type env struct {
	stdin          *os.File
	stdout, stderr io.Writer
}

// command is one subcommand: it gets the arguments after its name and returns the exit code.
type command struct {
	about string
	run   func(ctx context.Context, args []string, e env) int
}

// commands holds every subcommand.
var commands = map[string]command{
	"fe":    {"run a frontend, or look at the metadata of one that is stopped (fe tool)", runFE},
	"be":    {"run a backend, or look at the disk of one that is stopped (be tool)", runBE},
	"node":  {"run a frontend and a backend in one process", runNode},
	"local": {"run a whole cluster on this machine, or start, stop, kill one node of it", runLocal},
	"sql":   {"run SQL against an endpoint", runSQL},
	"version": {"print the version", func(_ context.Context, _ []string, e env) int {
		fmt.Fprintln(e.stdout, versionText())
		return 0
	}},
}

// heapSample is how many bytes a node allocates between two samples of its heap profile. The stack of a sample has some fifty
// frames: with the usual 512 KiB the samples were 1 % of the CPU time of small statements.
const heapSample = 8 << 20

func main() {
	if len(os.Args) > 1 && slices.Contains([]string{"fe", "be", "node"}, os.Args[1]) {
		if os.Args[1] != "node" {
			if err := wakeMonitor(); err != nil {
				fmt.Fprintf(os.Stderr, "stele: the runtime's monitor thread stays as it is: %v\n", err)
			}
		}
		if err := useHugePages(); err != nil {
			fmt.Fprintf(os.Stderr, "stele: memory stays in small pages: %v\n", err)
		}
		runtime.MemProfileRate = heapSample
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	// The first signal asks for an orderly end; with the handler gone the second one ends the process at once.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], env{os.Stdin, os.Stdout, os.Stderr}))
}

func run(ctx context.Context, args []string, e env) int {
	if len(args) == 0 {
		fmt.Fprint(e.stderr, help())
		return cmdline.ExitUsage
	}
	switch name := args[0]; name {
	case "help", "-h", "--help":
		if len(args) > 1 {
			return run(ctx, append(args[1:], "--help"), e)
		}
		fmt.Fprint(e.stdout, help())
		return 0
	case "-v", "--version":
		return commands["version"].run(ctx, nil, e)
	default:
		c, ok := commands[name]
		if !ok {
			fmt.Fprintf(e.stderr, "stele: unknown command %q\nSee stele --help.\n", name)
			return cmdline.ExitUsage
		}
		return c.run(ctx, args[1:], e)
	}
}

func help() string {
	names := make([]string, 0, len(commands))
	for name := range commands {
		names = append(names, name)
	}
	slices.Sort(names)
	var b strings.Builder
	b.WriteString("usage: stele COMMAND [arguments]\n\n")
	for _, name := range names {
		fmt.Fprintf(&b, "  %-8s %s\n", name, commands[name].about)
	}
	b.WriteString("\nEach command explains itself with --help, and stele help COMMAND is the same.\n")
	return b.String()
}

// role makes the command that runs one node in the foreground until a signal asks it to end.
func role(kind string, run func(ctx context.Context, confPath, version string, stdout io.Writer) error) func(context.Context, []string, env) int {
	return func(ctx context.Context, args []string, e env) int {
		usage := fmt.Sprintf("usage: stele %s [--conf FILE]\n       stele %[1]s tool --help\n", kind)
		flags := cmdline.New("stele "+kind, usage, e.stdout, e.stderr)
		confPath := flags.String("conf", "conf/"+kind+".conf", "configuration `file`")
		if _, code, ok := flags.Parse(args, 0, 0); !ok {
			return code
		}
		return exitCode(e, run(ctx, *confPath, shortVersion(), e.stdout))
	}
}

func runFE(ctx context.Context, args []string, e env) int {
	if len(args) > 0 && args[0] == "tool" {
		return metatool.Command(ctx, args[1:], e.stdout, e.stderr)
	}
	return role("fe", fe.Run)(ctx, args, e)
}

func runBE(ctx context.Context, args []string, e env) int {
	if len(args) > 0 && args[0] == "tool" {
		return tool.Command(ctx, args[1:], e.stdout, e.stderr)
	}
	return role("be", be.Run)(ctx, args, e)
}

func runLocal(ctx context.Context, args []string, e env) int {
	return local.Command(ctx, args, e.stdout, e.stderr)
}

func runSQL(ctx context.Context, args []string, e env) int {
	return console.Command(ctx, args, e.stdin, e.stdout, e.stderr)
}

func exitCode(e env, err error) int {
	if err != nil {
		fmt.Fprintf(e.stderr, "stele: %v\n", err)
		return cmdline.ExitFailed
	}
	return cmdline.ExitOK
}

func versionText() string {
	return fmt.Sprintf("stele %s (%s %s/%s)", shortVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// shortVersion is what nodes tell one another and their clients.
func shortVersion() string {
	v := version
	if info, ok := debug.ReadBuildInfo(); ok && v == "" {
		v = "development"
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				v = s.Value[:min(12, len(s.Value))]
			}
		}
	}
	return v
}
