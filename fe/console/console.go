// Package console is `stele sql`: it runs SQL against any MySQL endpoint and prints tables, for machines without a
// mysql client. It knows Stele only through the MySQL protocol.
//
// Statements come from -e, a file, standard input, or a prompt when standard input is a terminal. They are cut apart
// while they are read, so a script may be larger than memory; a result is printed while it arrives.
//
// The package never changes a statement, never retries one and keeps nothing but the history of the prompt, in memory.
// The first statement that fails ends a script (unless --force) with exit code 1; statements before it took effect.
package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/chzyer/readline"

	"stele/conf/cmdline"
)

// Options say where to connect, what to run and how to print.
type Options struct {
	Host, User, Password, Database string
	Port                           int
	Execute                        string // statements to run instead of the input
	File                           string // script to run instead of the input
	Batch                          bool   // tab-separated, as programs read it
	Force                          bool   // go on after an error
}

const usage = `usage: stele sql [-h HOST] [-P PORT] [-u USER] [-p PASSWORD] [-D DATABASE|DATABASE] [-e STATEMENTS|-f FILE] [--batch] [--force]
`

// parseArgs reads the command line. If nothing is to run it has said why, and ok is false.
func parseArgs(args []string, stdout, stderr io.Writer) (o Options, code int, ok bool) {
	flags := cmdline.New("stele sql", usage, stdout, stderr)
	flags.StringVar(&o.Host, "h", "127.0.0.1", "`host` of an FE")
	flags.IntVar(&o.Port, "P", 9030, "MySQL `port` of the FE")
	flags.StringVar(&o.User, "u", "root", "`user`")
	flags.StringVar(&o.Password, "p", "", "`password`; other users of the machine see it there, MYSQL_PWD hides it")
	flags.StringVar(&o.Database, "D", "", "`database` to use")
	flags.StringVar(&o.Execute, "e", "", "`statements` to run")
	flags.StringVar(&o.File, "f", "", "script `file` to run, - for standard input")
	flags.BoolVar(&o.Batch, "batch", false, "print tab-separated values without frames and counts")
	flags.BoolVar(&o.Force, "force", false, "go on after a statement that fails")
	rest, code, ok := flags.Parse(args, 0, 1)
	switch {
	case !ok:
		return o, code, false
	case o.Execute != "" && o.File != "":
		return o, flags.Refuse("either -e or -f"), false
	case len(rest) > 0 && o.Database != "":
		return o, flags.Refuse("unexpected argument %q", rest[0]), false
	case len(rest) > 0:
		o.Database = rest[0] // as the mysql client has it
	}
	if o.Password == "" {
		o.Password = os.Getenv("MYSQL_PWD")
	}
	return o, cmdline.ExitOK, true
}

// Command runs `stele sql` with the arguments after that word and returns the exit code.
func Command(ctx context.Context, args []string, stdin *os.File, stdout, stderr io.Writer) int {
	o, code, ok := parseArgs(args, stdout, stderr)
	if !ok {
		return code
	}
	s, err := connect(ctx, o)
	if err != nil {
		printError(stderr, err)
		return 1
	}
	defer s.close()
	r := &runner{session: s, out: stdout, errs: stderr, batch: o.Batch, force: o.Force}
	if o.Execute == "" && o.File == "" && readline.IsTerminal(int(stdin.Fd())) {
		return r.prompt(ctx, stdin)
	}
	in, closeInput, err := input(o, stdin)
	if err != nil {
		fmt.Fprintf(stderr, "stele sql: %v\n", err)
		return 1
	}
	defer closeInput()
	return r.script(ctx, in)
}

func input(o Options, stdin io.Reader) (in io.Reader, closeInput func(), err error) {
	switch o.File {
	case "":
		if o.Execute != "" {
			return strings.NewReader(o.Execute), func() {}, nil
		}
		return stdin, func() {}, nil
	case "-":
		return stdin, func() {}, nil
	}
	f, err := os.Open(o.File)
	if err != nil {
		return nil, nil, err
	}
	return f, func() { _ = f.Close() }, nil // read only: nothing can be lost
}

// runner runs statements of one session, one after the other.
type runner struct {
	session *session
	out     io.Writer
	errs    io.Writer
	batch   bool
	force   bool
}

// script runs every statement of in and returns the exit code.
func (r *runner) script(ctx context.Context, in io.Reader) int {
	code := 0
	scanner := NewScanner(in)
	for ctx.Err() == nil {
		st, err := scanner.Next()
		if errors.Is(err, io.EOF) {
			return code
		}
		if err != nil {
			fmt.Fprintf(r.errs, "stele sql: %v\n", err)
			return 1
		}
		if err := r.run(ctx, st); err != nil {
			printErrorAt(r.errs, st.Line, err)
			code = 1
			if !r.force {
				return code
			}
		}
	}
	return 1 // interrupted
}

// run executes one statement and prints its outcome.
func (r *runner) run(ctx context.Context, st Statement) error {
	p := printer(&tablePrinter{out: r.out})
	switch {
	case r.batch:
		p = &batchPrinter{out: r.out}
	case st.Vertical:
		p = &verticalPrinter{out: r.out}
	}
	if err := r.session.run(ctx, st.Text, p); err != nil || r.batch {
		return err
	}
	return r.warnings(ctx, st.Text)
}

// warnings prints those of the statement that has just run: with the session they are gone, and nobody who says -e could ask for them. What
// shows something is taken to have none: it may have been SHOW WARNINGS.
func (r *runner) warnings(ctx context.Context, text string) error {
	if firstWord(text) == "show" {
		return nil
	}
	warnings, err := r.session.warnings(ctx)
	if err != nil {
		return nil //nolint:nilerr // the statement has done what it should; a connection that is lost is met by the next one
	}
	for _, w := range warnings {
		if _, err := fmt.Fprintln(r.out, w); err != nil {
			return err
		}
	}
	if len(warnings) > 0 {
		_, err = fmt.Fprintln(r.out)
	}
	return err
}

// prompt reads statements from a terminal until the end of input, `exit` or `quit`.
func (r *runner) prompt(ctx context.Context, stdin *os.File) int {
	terminal, err := readline.NewEx(&readline.Config{
		Prompt: promptFirst, Stdin: stdin, Stdout: r.out, Stderr: r.errs, DisableAutoSaveHistory: true,
	})
	if err != nil {
		fmt.Fprintf(r.errs, "stele sql: %v\n", err)
		return 1
	}
	defer terminal.Close()
	stop := context.AfterFunc(ctx, func() { _ = terminal.Close() })
	defer stop()
	fmt.Fprintf(r.out, "Connected to %s. Statements end with ; or \\G, `exit` leaves.\n", r.session.describe(ctx))
	r.converse(ctx, terminal)
	return 0
}

const (
	promptFirst = "stele> "
	promptMore  = "    -> "
)

// lineReader is the part of a terminal that the conversation needs.
type lineReader interface {
	Readline() (string, error)
	SetPrompt(prompt string)
	SaveHistory(line string) error
}

func (r *runner) converse(ctx context.Context, terminal lineReader) {
	pending := ""
	for {
		prompt := promptFirst
		if pending != "" {
			prompt = promptMore
		}
		terminal.SetPrompt(prompt)
		line, err := terminal.Readline()
		if errors.Is(err, readline.ErrInterrupt) {
			if pending == "" && line == "" {
				return
			}
			pending = "" // Ctrl-C drops what was typed, as in the mysql client
			continue
		}
		if err != nil {
			return
		}
		word := strings.ToLower(strings.TrimRight(strings.TrimSpace(line), "; "))
		if pending == "" && (word == "exit" || word == "quit" || word == `\q`) {
			return
		}
		pending += line + "\n"
		statements, rest := Cut(pending)
		if len(statements) > 0 {
			_ = terminal.SaveHistory(strings.TrimSpace(strings.ReplaceAll(pending, "\n", " "))) // in memory
		}
		pending = rest
		for _, st := range statements {
			if err := r.run(ctx, st); err != nil {
				printError(r.errs, err)
			}
		}
	}
}
