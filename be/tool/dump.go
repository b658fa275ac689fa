package tool

import (
	"bufio"
	"errors"
	"fmt"
	"strconv"
	"time"

	"stele/be/tablet"
	"stele/meta/types"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// dump prints the rows of a replica as LOAD DATA reads them: tabs between columns, \N for NULL, backslash escapes.
func dump(i *invocation) (code int, err error) {
	id, err := strconv.ParseUint(i.args[0], 10, 64)
	if err != nil {
		return exitUsage, fmt.Errorf("tablet %q is not a number", i.args[0])
	}
	s, err := i.open()
	if err != nil {
		return exitDamage, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	t, ok := s.Tablet(types.TabletID(id))
	if !ok {
		return exitDamage, fmt.Errorf("tablet %d is not on this disk", id)
	}
	snap, err := i.snapshot(t)
	if err != nil {
		return exitDamage, err
	}
	defer snap.Release()
	return exitOK, i.dumpRows(snap)
}

func (i *invocation) snapshot(t *tablet.Tablet) (*tablet.Snapshot, error) {
	if i.version == 0 {
		return t.Current()
	}
	return t.Snapshot(types.Version(i.version))
}

func (i *invocation) dumpRows(snap *tablet.Snapshot) error {
	schema := snap.Schema()
	ids := make([]types.ColumnID, len(schema.Columns))
	w := bufio.NewWriterSize(i.out, 1<<16)
	for c := range schema.Columns {
		ids[c] = schema.Columns[c].ID
		if i.header {
			if c > 0 {
				_ = w.WriteByte('\t') // a failed write is told by Flush
			}
			_, _ = w.WriteString(schema.Columns[c].Name)
		}
	}
	if i.header {
		_ = w.WriteByte('\n')
	}
	it := snap.Scan(ids, tablet.ScanOptions{})
	var line []byte
	for {
		b, err := it.Next(i.ctx)
		if err != nil {
			return err
		}
		if b == nil {
			return w.Flush()
		}
		for k := range b.Rows() {
			line = appendLine(line[:0], b, b.Row(k))
			_, _ = w.Write(line)
		}
	}
}

func appendLine(dst []byte, b *vec.Batch, row int) []byte {
	var text []byte
	for c, v := range b.Cols {
		if c > 0 {
			dst = append(dst, '\t')
		}
		if v.IsNull(row) {
			dst = append(dst, '\\', 'N')
			continue
		}
		text = sqltypes.AppendVectorText(text[:0], v, row, time.UTC)
		dst = appendEscaped(dst, text)
	}
	return append(dst, '\n')
}

func appendEscaped(dst, text []byte) []byte {
	for _, x := range text {
		switch x {
		case '\t':
			dst = append(dst, '\\', 't')
		case '\n':
			dst = append(dst, '\\', 'n')
		case 0:
			dst = append(dst, '\\', '0')
		case '\\':
			dst = append(dst, '\\', '\\')
		default:
			dst = append(dst, x)
		}
	}
	return dst
}
