package catalog

import (
	"iter"
	"math"
	"slices"
	"strings"

	"stele/meta/command"
	"stele/meta/types"
)

// Bounds of what the control loop writes down.
const (
	MaxTasks    = 1000 // tasks kept of either kind
	maxTaskText = 512  // bytes of a reason
	maxLocation = 128  // bytes of the location of a BE
)

func (d *draft) applySched(cmd command.Command) (any, error, bool) {
	switch c := cmd.(type) {
	case *command.NoteTasks:
		d.noteTasks(c)
		return nil, nil, true
	case *command.SetBELocation:
		if err := CheckLocation(c.Location); err != nil {
			return nil, err, true
		}
		return nil, d.changeBE(c.BE, func(b *BE) error { b.Location = c.Location; return nil }), true
	}
	return nil, nil, false
}

// CheckLocation reports what is wrong with the location of a BE: it is "key:value" or nothing.
func CheckLocation(text string) error {
	if text == "" {
		return nil
	}
	key, value, ok := strings.Cut(text, ":")
	fit := func(s string) bool {
		return s != "" && strings.IndexFunc(s, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-' && r != '.'
		}) < 0
	}
	if !ok || !fit(key) || !fit(value) || len(text) > maxLocation {
		return refused("location %q is not key:value of letters, digits, '_', '-' and '.', at most %d bytes", text, maxLocation)
	}
	return nil
}

// noteTasks keeps the newest tasks. A tablet whose task has ended has no attempts left to tell of.
func (d *draft) noteTasks(c *command.NoteTasks) {
	for i := range c.Tried {
		t := c.Tried[i]
		trim(&t)
		d.tried = d.tried.set(d.o, t.Tablet, &t)
	}
	last, _, _ := d.tasks.floor(math.MaxUint64)
	for i := range c.Ended {
		t := c.Ended[i]
		trim(&t)
		last++
		d.tasks = d.tasks.set(d.o, last, &t)
		d.tried = d.tried.del(d.o, t.Tablet)
	}
	for d.tasks.len() > MaxTasks {
		for first := range d.tasks.all() {
			d.tasks = d.tasks.del(d.o, first)
			break
		}
	}
	for d.tried.len() > MaxTasks {
		d.tried = d.tried.del(d.o, d.oldestTried())
	}
}

func trim(t *Task) {
	cut := func(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxTaskText)], "") }
	t.Err, t.Attempts = cut(t.Err), slices.Clone(t.Attempts)
	for i := range t.Attempts {
		t.Attempts[i].Reason = cut(t.Attempts[i].Reason)
	}
}

func (d *draft) oldestTried() types.TabletID {
	var oldest *Task
	for _, t := range d.tried.all() {
		if oldest == nil || t.LastSchedMs < oldest.LastSchedMs {
			oldest = t
		}
	}
	return oldest.Tablet
}

// Tasks yields the ended tasks of the control loop, oldest first.
func (c *Catalog) Tasks() iter.Seq[*Task] { return values(c.tasks) }

// Tried yields the tasks that have failed and were to be tried again, by tablet.
func (c *Catalog) Tried() iter.Seq[*Task] { return values(c.tried) }
