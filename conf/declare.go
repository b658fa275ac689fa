package conf

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Option refines a declaration.
type Option func(*declaration)

type declaration struct {
	spec     *Spec
	min, max float64
	ranged   bool
	oneOf    []string
}

// Range bounds a number, both ends included, in the unit of the item's name.
func Range(low, high float64) Option {
	return func(d *declaration) { d.min, d.max, d.ranged = low, high, true }
}

// OneOf lists the only texts that a String item takes.
func OneOf(texts ...string) Option { return func(d *declaration) { d.oneOf = texts } }

// Alias adds other names under which the item is known.
func Alias(names ...string) Option { return func(d *declaration) { d.spec.Aliases = names } }

// Mutable marks an item that ADMIN SET FRONTEND CONFIG may change while the process runs.
func Mutable(d *declaration) { d.spec.Mutable = true }

// Cluster marks an item that must be the same on every FE.
func Cluster(d *declaration) { d.spec.Scope = ScopeCluster }

func declare(key string, t Type, doc string, opts []Option) *declaration {
	d := &declaration{spec: &Spec{Key: key, Type: t, Doc: doc, Unit: unitOf(key)}}
	for _, o := range opts {
		o(d)
	}
	switch {
	case d.ranged:
		d.spec.Bounds = formatFloat(d.min) + " to " + formatFloat(d.max)
	case d.oneOf != nil:
		d.spec.Bounds = strings.Join(d.oneOf, ", ")
	}
	return d
}

// unitSuffixes maps the end of a name to the unit of its value. Several spellings of seconds and milliseconds are
// accepted because operators bring these names from the systems they know.
var unitSuffixes = []struct {
	suffix, unit string
	step         time.Duration
}{
	{"_ms", "ms", time.Millisecond},
	{"_millisecond", "ms", time.Millisecond},
	{"_s", "s", time.Second},
	{"_sec", "s", time.Second},
	{"_second", "s", time.Second},
	{"_seconds", "s", time.Second},
	{"_bytes", "bytes", 0},
	{"_percent", "%", 0},
	{"_ratio", "ratio", 0},
}

func unitOf(key string) string {
	for _, u := range unitSuffixes {
		if strings.HasSuffix(key, u.suffix) {
			return u.unit
		}
	}
	return ""
}

func stepOf(key string) time.Duration {
	for _, u := range unitSuffixes {
		if u.step > 0 && strings.HasSuffix(key, u.suffix) {
			return u.step
		}
	}
	panic(fmt.Sprintf("BUG: duration item %q has no time unit at the end of its name", key))
}

func (d *declaration) inRange(n float64) error {
	if d.ranged && (n < d.min || n > d.max) {
		return fmt.Errorf("must be %s", d.spec.Bounds)
	}
	return nil
}

func (d *declaration) parseInt(text string, bits int) (int64, error) {
	n, err := strconv.ParseInt(text, 10, bits)
	if err != nil {
		return 0, fmt.Errorf("must be a whole number%s", d.suffix())
	}
	return n, d.inRange(float64(n))
}

// suffix appends the bounds to a complaint about the form of a value, so that one message is enough to fix it.
func (d *declaration) suffix() string {
	if d.spec.Bounds == "" {
		return ""
	}
	return ", " + d.spec.Bounds
}

// Int declares an item of the Go type int.
func (g *Group) Int(key string, def int, doc string, opts ...Option) *Item[int] {
	d := declare(key, Int, doc, opts)
	d.spec.Default = strconv.Itoa(def)
	d.spec.parse = func(text string) (any, error) { n, err := d.parseInt(text, 32); return int(n), err }
	d.spec.format = func(v any) string { return strconv.Itoa(v.(int)) }
	g.add(d.spec)
	return &Item[int]{d.spec}
}

// Int64 declares an item of the Go type int64.
func (g *Group) Int64(key string, def int64, doc string, opts ...Option) *Item[int64] {
	d := declare(key, Long, doc, opts)
	d.spec.Default = strconv.FormatInt(def, 10)
	d.spec.parse = func(text string) (any, error) { n, err := d.parseInt(text, 64); return n, err }
	d.spec.format = func(v any) string { return strconv.FormatInt(v.(int64), 10) }
	g.add(d.spec)
	return &Item[int64]{d.spec}
}

// Bytes declares a size. A file may write it plainly or with K, M, G or T (powers of 1024, an optional B or iB after
// it); it is always shown as a plain number of bytes.
func (g *Group) Bytes(key string, def int64, doc string, opts ...Option) *Item[int64] {
	d := declare(key, Long, doc, opts)
	d.spec.Unit = "bytes"
	d.spec.Default = strconv.FormatInt(def, 10)
	d.spec.parse = func(text string) (any, error) {
		n, err := parseBytes(text)
		if err != nil {
			return int64(0), fmt.Errorf("must be a number of bytes such as 1048576 or 64M%s", d.suffix())
		}
		return n, d.inRange(float64(n))
	}
	d.spec.format = func(v any) string { return strconv.FormatInt(v.(int64), 10) }
	g.add(d.spec)
	return &Item[int64]{d.spec}
}

func parseBytes(text string) (int64, error) {
	digits := strings.TrimRight(text, "kKmMgGtTiIbB ")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0, err
	}
	unit := strings.ToUpper(strings.TrimSpace(text[len(digits):]))
	shifts := map[string]uint{"": 0, "B": 0}
	for i, letter := range []string{"K", "M", "G", "T"} {
		for _, tail := range []string{"", "B", "IB"} {
			shifts[letter+tail] = uint(i+1) * 10
		}
	}
	shift, ok := shifts[unit]
	if !ok || n < 0 || n > math.MaxInt64>>shift {
		return 0, strconv.ErrRange
	}
	return n << shift, nil
}

// Bool declares an item of the Go type bool.
func (g *Group) Bool(key string, def bool, doc string, opts ...Option) *Item[bool] {
	d := declare(key, Bool, doc, opts)
	d.spec.Default = strconv.FormatBool(def)
	d.spec.parse = func(text string) (any, error) {
		switch strings.ToLower(text) {
		case "true", "on", "yes", "1":
			return true, nil
		case "false", "off", "no", "0":
			return false, nil
		}
		return false, fmt.Errorf("must be true or false")
	}
	d.spec.format = func(v any) string { return strconv.FormatBool(v.(bool)) }
	g.add(d.spec)
	return &Item[bool]{d.spec}
}

// Float declares an item of the Go type float64.
func (g *Group) Float(key string, def float64, doc string, opts ...Option) *Item[float64] {
	d := declare(key, Double, doc, opts)
	d.spec.Default = formatFloat(def)
	d.spec.parse = func(text string) (any, error) {
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
			return 0.0, fmt.Errorf("must be a number%s", d.suffix())
		}
		return n, d.inRange(n)
	}
	d.spec.format = func(v any) string { return formatFloat(v.(float64)) }
	g.add(d.spec)
	return &Item[float64]{d.spec}
}

// formatFloat avoids the exponent: the texts stand in files that people edit.
func formatFloat(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

// Duration declares a time span; its value is a whole number of the unit at the end of its name (_ms, _s, _sec,
// _second, _seconds, _millisecond) and its bounds are in that unit as well.
func (g *Group) Duration(key string, def time.Duration, doc string, opts ...Option) *Item[time.Duration] {
	step := stepOf(key)
	d := declare(key, Long, doc, opts)
	d.spec.Default = strconv.FormatInt(int64(def/step), 10)
	d.spec.parse = func(text string) (any, error) {
		n, err := d.parseInt(text, 64)
		if err == nil && (n > math.MaxInt64/int64(step) || n < math.MinInt64/int64(step)) {
			err = fmt.Errorf("is too large a time span")
		}
		return time.Duration(n) * step, err
	}
	d.spec.format = func(v any) string { return strconv.FormatInt(int64(v.(time.Duration)/step), 10) }
	g.add(d.spec)
	return &Item[time.Duration]{d.spec}
}

// String declares a text.
func (g *Group) String(key, def, doc string, opts ...Option) *Item[string] {
	d := declare(key, String, doc, opts)
	d.spec.Default = def
	d.spec.parse = func(text string) (any, error) {
		if d.oneOf != nil && !slices.Contains(d.oneOf, text) {
			return "", fmt.Errorf("must be one of %s", d.spec.Bounds)
		}
		return text, nil
	}
	d.spec.format = func(v any) string { return v.(string) }
	g.add(d.spec)
	return &Item[string]{d.spec}
}

// Path declares a file or folder. A relative value counts from the folder of the configuration file, so that a node's
// folder can be moved as a whole; an empty value stays empty.
func (g *Group) Path(key, def, doc string, opts ...Option) *Item[string] {
	it := g.String(key, def, doc, opts...)
	it.rebase = func(v any, base string) any { return rebasePath(v.(string), base) }
	return it
}

func rebasePath(path, base string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(base, path)
}

// StringList declares a list of texts that a file separates by commas. Empty parts are dropped.
func (g *Group) StringList(key, def, doc string, opts ...Option) *Item[[]string] {
	d := declare(key, StringList, doc, opts)
	d.spec.Default = def
	d.spec.parse = func(text string) (any, error) {
		list := []string{}
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				list = append(list, part)
			}
		}
		return list, nil
	}
	d.spec.format = func(v any) string { return strings.Join(v.([]string), ",") }
	g.add(d.spec)
	return &Item[[]string]{d.spec}
}
