package console

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// column is the head of one column of a result.
type column struct {
	name   string
	number bool
}

// cell is one value of a result.
type cell struct {
	text string
	null bool
}

// printer prints the outcome of statements. It does not keep the cells of row.
type printer interface {
	begin(columns []column)
	row(values []cell) error
	end(took time.Duration) error
	// cut ends a result that an error broke off, so that no row that arrived is kept back.
	cut() error
	ok(affected int64, took time.Duration) error
}

func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// tablePrinter prints frames as the mysql client does. Widths follow from the first rows, so that a result of any size
// needs bounded memory; a later value that is wider pushes its line out.
type tablePrinter struct {
	out     io.Writer
	columns []column
	widths  []int
	waiting [][]string // rows that the widths are still to be learned from
	printed bool       // the head is out
	rows    int64
}

// widthRows is how many rows widths are learned from.
const widthRows = 1000

func (p *tablePrinter) begin(columns []column) {
	*p = tablePrinter{out: p.out, columns: columns, widths: make([]int, len(columns))}
	for i, c := range columns {
		p.widths[i] = width(c.name)
	}
}

func (p *tablePrinter) row(values []cell) error {
	p.rows++
	cells := make([]string, len(values))
	for i, v := range values {
		cells[i] = cellText(v)
	}
	if p.printed {
		return p.flush([][]string{cells})
	}
	for i := range cells {
		p.widths[i] = max(p.widths[i], width(cells[i]))
	}
	p.waiting = append(p.waiting, cells)
	if len(p.waiting) < widthRows {
		return nil
	}
	return p.flushWaiting()
}

func (p *tablePrinter) flushWaiting() error {
	waiting := p.waiting
	p.waiting = nil
	if !p.printed {
		p.printed = true
		head := make([]string, len(p.columns))
		for i, c := range p.columns {
			head[i] = c.name
		}
		if _, err := fmt.Fprintf(p.out, "%s%s%s", p.frame(), p.line(head, false), p.frame()); err != nil {
			return err
		}
	}
	return p.flush(waiting)
}

func (p *tablePrinter) flush(rows [][]string) error {
	w := bufio.NewWriter(p.out)
	for _, cells := range rows {
		if _, err := w.WriteString(p.line(cells, true)); err != nil {
			return err
		}
	}
	return w.Flush()
}

func (p *tablePrinter) frame() string {
	var b strings.Builder
	for _, w := range p.widths {
		b.WriteString("+" + strings.Repeat("-", w+2))
	}
	return b.String() + "+\n"
}

func (p *tablePrinter) line(cells []string, alignNumbers bool) string {
	var b strings.Builder
	for i, cell := range cells {
		pad := strings.Repeat(" ", max(0, p.widths[i]-width(cell)))
		if alignNumbers && p.columns[i].number {
			b.WriteString("| " + pad + cell + " ")
		} else {
			b.WriteString("| " + cell + pad + " ")
		}
	}
	return b.String() + "|\n"
}

func (p *tablePrinter) cut() error {
	if p.rows == 0 {
		return nil
	}
	if err := p.flushWaiting(); err != nil {
		return err
	}
	_, err := io.WriteString(p.out, p.frame())
	return err
}

func (p *tablePrinter) end(took time.Duration) error {
	if err := p.cut(); err != nil {
		return err
	}
	if p.rows == 0 {
		_, err := fmt.Fprintf(p.out, "Empty set (%.2f sec)\n\n", took.Seconds())
		return err
	}
	_, err := fmt.Fprintf(p.out, "%s in set (%.2f sec)\n\n", plural(p.rows, "row", "rows"), took.Seconds())
	return err
}

func (p *tablePrinter) ok(affected int64, took time.Duration) error {
	return printOK(p.out, affected, took)
}

func printOK(w io.Writer, affected int64, took time.Duration) error {
	_, err := fmt.Fprintf(w, "Query OK, %s affected (%.2f sec)\n\n", plural(affected, "row", "rows"), took.Seconds())
	return err
}

// verticalPrinter prints one column a line, for \G.
type verticalPrinter struct {
	out     io.Writer
	columns []column
	margin  int
	rows    int64
}

func (p *verticalPrinter) begin(columns []column) {
	*p = verticalPrinter{out: p.out, columns: columns}
	for _, c := range columns {
		p.margin = max(p.margin, width(c.name))
	}
}

func (p *verticalPrinter) row(values []cell) error {
	p.rows++
	var b strings.Builder
	stars := strings.Repeat("*", 27)
	fmt.Fprintf(&b, "%s %d. row %s\n", stars, p.rows, stars)
	for i, v := range values {
		name := p.columns[i].name
		fmt.Fprintf(&b, "%s%s: %s\n", strings.Repeat(" ", p.margin-width(name)), name, cellText(v))
	}
	_, err := io.WriteString(p.out, b.String())
	return err
}

func (p *verticalPrinter) cut() error { return nil }

func (p *verticalPrinter) end(took time.Duration) error {
	_, err := fmt.Fprintf(p.out, "%s in set (%.2f sec)\n\n", plural(p.rows, "row", "rows"), took.Seconds())
	return err
}

func (p *verticalPrinter) ok(affected int64, took time.Duration) error {
	return printOK(p.out, affected, took)
}

// batchPrinter prints a head and rows separated by tabs, with the escapes of the mysql client's batch mode, so that
// each row is one line whatever it holds.
type batchPrinter struct {
	out io.Writer
	w   *bufio.Writer
}

var batchEscapes = strings.NewReplacer("\\", `\\`, "\t", `\t`, "\n", `\n`, "\x00", `\0`)

func (p *batchPrinter) begin(columns []column) {
	p.w = bufio.NewWriter(p.out)
	for i, c := range columns {
		p.cell(i, c.name)
	}
	_ = p.w.WriteByte('\n') // a bufio.Writer keeps its error for Flush
}

func (p *batchPrinter) cell(i int, text string) {
	if i > 0 {
		_ = p.w.WriteByte('\t')
	}
	_, _ = p.w.WriteString(batchEscapes.Replace(text))
}

func (p *batchPrinter) row(values []cell) error {
	for i, v := range values {
		if v.null {
			p.cell(i, "NULL")
		} else {
			p.cell(i, v.text)
		}
	}
	return p.w.WriteByte('\n')
}

func (p *batchPrinter) cut() error                    { return p.w.Flush() }
func (p *batchPrinter) end(time.Duration) error       { return p.w.Flush() }
func (p *batchPrinter) ok(int64, time.Duration) error { return nil }

// cellText is a value as a person reads it: control characters that would break the frame are shown as escapes, bytes
// that are no UTF-8 in hexadecimal.
func cellText(v cell) string {
	if v.null {
		return "NULL"
	}
	if !utf8.ValidString(v.text) {
		return fmt.Sprintf("0x%X", v.text)
	}
	text := v.text
	if !strings.ContainsFunc(text, unicode.IsControl) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case unicode.IsControl(r):
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// wideRunes are the blocks whose characters take two cells of a terminal.
var wideRunes = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x1100, Hi: 0x115f, Stride: 1}, {Lo: 0x2e80, Hi: 0xa4cf, Stride: 1}, {Lo: 0xac00, Hi: 0xd7a3, Stride: 1},
		{Lo: 0xf900, Hi: 0xfaff, Stride: 1}, {Lo: 0xfe30, Hi: 0xfe6f, Stride: 1}, {Lo: 0xff00, Hi: 0xff60, Stride: 1},
		{Lo: 0xffe0, Hi: 0xffe6, Stride: 1},
	},
	R32: []unicode.Range32{{Lo: 0x1f300, Hi: 0x1faff, Stride: 1}, {Lo: 0x20000, Hi: 0x3fffd, Stride: 1}},
}

// width is how many cells of a terminal a text takes.
func width(text string) int {
	n := 0
	for _, r := range text {
		switch {
		case unicode.Is(unicode.Mn, r):
		case unicode.Is(wideRunes, r):
			n += 2
		default:
			n++
		}
	}
	return n
}
