package bench

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Table is the outcome: a row for each measurement, a column for each server, and Stele's ratios to the peer.
type Table struct {
	Servers []string
	rows    []row
}

type row struct {
	name, unit string
	higher     bool // whether more is better
	values     map[string]float64
}

// Put sets one value; the first one of a name makes the row.
func (t *Table) Put(name, unit string, higher bool, server string, value float64) {
	i := slices.IndexFunc(t.rows, func(r row) bool { return r.name == name })
	if i < 0 {
		t.rows = append(t.rows, row{name: name, unit: unit, higher: higher, values: map[string]float64{}})
		i = len(t.rows) - 1
	}
	t.rows[i].values[server] = value
}

// String prints the table. A ratio above 1 means that Stele is better, whatever the unit.
func (t *Table) String() string {
	var b strings.Builder
	peer := t.Servers[0]
	b.WriteString("| measurement | unit | " + strings.Join(t.Servers, " | "))
	for _, s := range t.Servers[1:] {
		b.WriteString(" | " + s + ", times as good")
	}
	b.WriteString(" |\n|" + strings.Repeat(" --- |", 1+2*len(t.Servers)) + "\n")
	for _, r := range t.rows {
		b.WriteString("| " + r.name + " | " + r.unit)
		for _, s := range t.Servers {
			b.WriteString(" | " + r.cell(s))
		}
		for _, s := range t.Servers[1:] {
			b.WriteString(" | " + r.ratio(s, peer))
		}
		b.WriteString(" |\n")
	}
	return b.String()
}

func (r row) cell(server string) string {
	v, ok := r.values[server]
	if !ok {
		return ""
	}
	if v >= 100 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

func (r row) ratio(server, peer string) string {
	a, b := r.values[server], r.values[peer]
	if a == 0 || b == 0 {
		return ""
	}
	if !r.higher {
		a, b = b, a
	}
	return fmt.Sprintf("%.2f", a/b)
}

// median returns the middle of the values, which it sorts; the lower one of two.
func median[T cmp.Ordered](values []T) T {
	slices.Sort(values)
	return values[(len(values)-1)/2]
}
