package conf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Source is where a value came from.
type Source uint8

// The sources, weakest first.
const (
	FromDefault Source = iota
	FromFile
	FromRuntime
)

// String returns the word shown to operators.
func (s Source) String() string {
	return [...]string{"default", "file", "runtime"}[s]
}

// Origin is the source of one value and, for a file, the place in it.
type Origin struct {
	Source Source
	Detail string // "fe.conf:12" for a file, empty otherwise
}

// String returns for example "default" or "file fe.conf:12".
func (o Origin) String() string {
	return strings.TrimSpace(o.Source.String() + " " + o.Detail)
}

// Values is an immutable, valid set of values for all items of one registry.
type Values struct {
	reg     *Registry
	base    string // relative paths count from here
	vals    []any
	origins []Origin
}

// Registry returns the registry that the values belong to.
func (v *Values) Registry() *Registry { return v.reg }

// Text returns the value of an item as a file would spell it; paths are shown resolved.
func (v *Values) Text(s *Spec) string { return s.format(v.vals[s.index]) }

// Shown is Text for eyes: of a secret it says only whether there is one.
func (v *Values) Shown(s *Spec) string {
	text := v.Text(s)
	if text != "" && (s.Key == FEGossipKeys.Key || s.Key == BEGossipKeys.Key) {
		return "******"
	}
	return text
}

// Origin returns where the value of an item came from.
func (v *Values) Origin(s *Spec) Origin { return v.origins[s.index] }

// ErrUnknown and ErrFixed tell apart why a runtime change is refused before its value is even looked at.
var (
	ErrUnknown = errors.New("does not exist")
	ErrFixed   = errors.New("cannot change at runtime")
)

// With returns a copy in which one mutable item has a new value. The error wraps ErrUnknown, ErrFixed or is a Faults.
func (v *Values) With(key, text string) (*Values, error) {
	s, ok := v.reg.Lookup(key)
	if !ok {
		return nil, fmt.Errorf("config %q %w%s", key, ErrUnknown, v.reg.hint(key))
	}
	if !s.Mutable {
		return nil, fmt.Errorf("config %q %w: set it in %s.conf and restart", s.Key, ErrFixed, v.reg.name)
	}
	next := &Values{reg: v.reg, base: v.base, vals: slices.Clone(v.vals), origins: slices.Clone(v.origins)}
	if err := next.set(s, strings.TrimSpace(text), Origin{Source: FromRuntime}); err != nil {
		return nil, Faults{{Key: s.Key, Value: text, Problem: err.Error()}}
	}
	if faults := next.crossCheck(); len(faults) > 0 {
		return nil, faults
	}
	return next, nil
}

func (v *Values) set(s *Spec, text string, origin Origin) error {
	value, err := s.parse(text)
	if err != nil {
		return err
	}
	if s.rebase != nil {
		value = s.rebase(value, v.base)
	}
	v.vals[s.index], v.origins[s.index] = value, origin
	return nil
}

func (v *Values) crossCheck() Faults {
	var faults Faults
	for _, check := range v.reg.checks {
		faults = append(faults, check(v)...)
	}
	return faults
}

// hint says what takes the place of a foreign name, or proposes the nearest for an unknown one.
func (r *Registry) hint(unknown string) string {
	if text := r.instead(unknown); text != "" {
		return ": " + text
	}
	if near := r.nearest(unknown); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}

// Fault is one thing that is wrong with a configuration.
type Fault struct {
	Where   string // "fe.conf:12", empty when no line is to blame
	Key     string
	Value   string
	Problem string // continues "key = value …": "must be 1 to 65535"
}

// String returns one readable line.
func (f Fault) String() string {
	text := f.Problem
	if f.Key != "" {
		text = fmt.Sprintf("%s = %q %s", f.Key, f.Value, f.Problem)
	}
	if f.Where != "" {
		text = f.Where + ": " + text
	}
	return text
}

// Faults lists everything that is wrong, so that an operator repairs a file in one round.
type Faults []Fault

// Error returns one line per fault.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i := range f {
		lines[i] = f[i].String()
	}
	return strings.Join(lines, "\n")
}

// Defaults returns the values of an empty file in the folder base.
func (r *Registry) Defaults(base string) *Values {
	v, err := r.Parse(r.name+".conf", nil, base)
	if err != nil {
		panic(fmt.Sprintf("BUG: defaults of the %s registry contradict each other: %v", r.name, err))
	}
	return v
}

// Load reads a file of `key = value` lines. Relative paths in it count from its own folder.
func (r *Registry) Load(path string) (*Values, error) {
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("read configuration: %w; name the one of this node, see --help", err)
	case err != nil:
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration %s: %w", path, err)
	}
	v, err := r.Parse(filepath.Base(path), text, filepath.Dir(abs))
	if err != nil {
		return nil, fmt.Errorf("configuration %s:\n%w", path, err)
	}
	return v, nil
}

// maxLine bounds a line of a file; a longer one is certainly not a configuration.
const maxLine = 64 << 10

// Parse reads the text of a file; name is used in messages only. A line is `key = value`; `#` starts a comment at the
// beginning of a line or after a blank; a value in double quotes is taken as a Go string. The error is a Faults.
func (r *Registry) Parse(name string, text []byte, base string) (*Values, error) {
	v := &Values{reg: r, base: base, vals: make([]any, len(r.specs)), origins: make([]Origin, len(r.specs))}
	for _, s := range r.specs {
		if err := v.set(s, s.Default, Origin{}); err != nil {
			panic(fmt.Sprintf("BUG: default of item %q: %v", s.Key, err))
		}
	}
	var faults Faults
	lineNo := 0
	for line := range strings.Lines(string(text)) {
		lineNo++
		where := name + ":" + strconv.Itoa(lineNo)
		if fault := v.parseLine(line, where); fault != nil {
			fault.Where = where
			faults = append(faults, *fault)
		}
	}
	if len(faults) == 0 {
		faults = v.crossCheck()
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return v, nil
}

func (v *Values) parseLine(line, where string) *Fault {
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '#' {
		return nil
	}
	if len(line) > maxLine {
		return &Fault{Problem: fmt.Sprintf("line is longer than %d bytes", maxLine)}
	}
	key, rest, found := strings.Cut(line, "=")
	key = strings.TrimSpace(key)
	if !found || key == "" {
		return &Fault{Problem: fmt.Sprintf("expected `key = value`, found %q", line)}
	}
	value, err := lineValue(strings.TrimSpace(rest))
	if err != nil {
		return &Fault{Key: key, Value: rest, Problem: err.Error()}
	}
	s, ok := v.reg.Lookup(key)
	if !ok {
		return &Fault{Key: key, Value: value, Problem: "is no known item" + v.reg.hint(key)}
	}
	if old := v.origins[s.index]; old.Source == FromFile {
		return &Fault{Key: key, Value: value, Problem: "is set a second time, first in " + old.Detail}
	}
	if err := v.set(s, value, Origin{FromFile, where}); err != nil {
		return &Fault{Key: key, Value: value, Problem: err.Error()}
	}
	return nil
}

// lineValue cuts a trailing comment off, or unquotes.
func lineValue(text string) (string, error) {
	if strings.HasPrefix(text, `"`) {
		quoted, err := strconv.QuotedPrefix(text)
		if err != nil {
			return "", errors.New("has no closing quote")
		}
		rest := strings.TrimSpace(text[len(quoted):])
		if rest != "" && rest[0] != '#' {
			return "", errors.New("goes on after the closing quote")
		}
		return strconv.Unquote(quoted)
	}
	for i := range len(text) {
		if text[i] == '#' && (i == 0 || text[i-1] == ' ' || text[i-1] == '\t') {
			return strings.TrimSpace(text[:i]), nil
		}
	}
	return text, nil
}
