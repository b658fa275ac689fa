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
	beside     map[string][]float64 // what is told beside the values
}

// Put sets one value, and what is told beside it; the first one of a name makes the row.
func (t *Table) Put(name, unit string, higher bool, server string, value float64, beside ...float64) {
	i := slices.IndexFunc(t.rows, func(r row) bool { return r.name == name })
	if i < 0 {
		t.rows = append(t.rows, row{name: name, unit: unit, higher: higher, values: map[string]float64{}, beside: map[string][]float64{}})
		i = len(t.rows) - 1
	}
	t.rows[i].values[server], t.rows[i].beside[server] = value, beside
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
	cell := digits3(v)
	for _, w := range r.beside[server] {
		cell += " · " + digits3(w)
	}
	return cell
}

// digits3 prints a number with three digits, or with all of them before the point.
func digits3(v float64) string {
	if v >= 100 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

func (r row) ratio(server, peer string) string {
	ratio, ok := r.times(server, peer)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%.2f", ratio)
}

// times is how many times as good as its peer a server is.
func (r row) times(server, peer string) (ratio float64, ok bool) {
	a, b := r.values[server], r.values[peer]
	if a == 0 || b == 0 {
		return 0, false
	}
	if !r.higher {
		a, b = b, a
	}
	return a / b, true
}

// Medians tells the median and the worst ratio of the rows whose names end alike.
func (t *Table) Medians(ending string) string {
	var parts []string
	for _, s := range t.Servers[1:] {
		var ratios []float64
		for _, r := range t.rows {
			if ratio, ok := r.times(s, t.Servers[0]); ok && strings.HasSuffix(r.name, ending) {
				ratios = append(ratios, ratio)
			}
		}
		if len(ratios) > 0 {
			parts = append(parts, fmt.Sprintf("%s: median %.2f, worst %.2f", s, median(ratios), slices.Min(ratios)))
		}
	}
	return "times as good, " + ending + ": " + strings.Join(parts, "; ")
}

// median returns the middle of the values, which it sorts; the lower one of two.
func median[T cmp.Ordered](values []T) T {
	slices.Sort(values)
	return values[(len(values)-1)/2]
}
