//go:build bench

package storage

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"

	"stele/be/tablet"
	"stele/be/tablet/wire"
	"stele/meta/types"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
	"stele/tests/tpch"
)

// Columns of lineitem, numbered from 1.
const (
	colOrder    = 1
	colLine     = 4
	colQuantity = 5
	colPrice    = 6
	colDiscount = 7
	colTax      = 8
	colFlag     = 9
	colStatus   = 10
	colShip     = 11
)

// lineitem is the schema of TPC-H's largest table with the key (l_orderkey, l_linenumber).
func lineitem() types.Schema {
	schema := types.Schema{TableID: 1, Version: 1, Key: []types.ColumnID{colOrder, colLine}}
	money := types.ColumnType{Kind: types.KindDecimal, Length: 15, Scale: 2, NotNull: true}
	add := func(name string, t types.ColumnType) {
		t.NotNull = true
		schema.Columns = append(schema.Columns, types.Column{ID: types.ColumnID(len(schema.Columns) + 1), Name: name, Type: t})
	}
	text := func(kind types.Kind, n int32) types.ColumnType { return types.ColumnType{Kind: kind, Length: n} }
	add("l_orderkey", types.ColumnType{Kind: types.KindBigInt})
	for _, name := range []string{"l_partkey", "l_suppkey", "l_linenumber"} {
		add(name, types.ColumnType{Kind: types.KindInt})
	}
	for _, name := range []string{"l_quantity", "l_extendedprice", "l_discount", "l_tax"} {
		add(name, money)
	}
	add("l_returnflag", text(types.KindChar, 1))
	add("l_linestatus", text(types.KindChar, 1))
	for _, name := range []string{"l_shipdate", "l_commitdate", "l_receiptdate"} {
		add(name, types.ColumnType{Kind: types.KindDate})
	}
	add("l_shipinstruct", text(types.KindChar, 25))
	add("l_shipmode", text(types.KindChar, 10))
	add("l_comment", text(types.KindVarChar, 44))
	return schema
}

// makeTSV writes the file of rows, or counts those of the one that an earlier run has left in the folder.
func (b *benchmark) makeTSV() (err error) {
	if _, err := os.Stat(b.tsv); err == nil {
		return eachChunk(b.tsv, func(text []byte) error {
			b.chunks++
			b.rows += bytes.Count(text, []byte{'\n'})
			b.bytes += int64(len(text))
			return nil
		})
	}
	b.rows, b.bytes, err = writeTSV(b.tsv, *scale, "lineitem")
	return err
}

// writeTSV generates the rows of a table into a file and returns how many there are and their bytes. The tuples of the generator hold no
// tab or quote within a value.
func writeTSV(path string, scale float64, table string) (rows int, size int64, err error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	var out []byte
	for tuple := range (tpch.Data{Scale: scale}).Rows(table) {
		out = append(appendFields(out[:0], tuple[1:len(tuple)-1]), '\n')
		if _, err := w.Write(out); err != nil {
			return 0, 0, err
		}
		rows, size = rows+1, size+int64(len(out))
	}
	return rows, size, w.Flush()
}

// appendFields appends what stands between the parentheses of a tuple with tabs between the values.
func appendFields(out, tuple []byte) []byte {
	quoted := false
	for _, c := range tuple {
		switch {
		case c == '\'':
			quoted = !quoted
		case c == ',' && !quoted:
			out = append(out, '\t')
		default:
			out = append(out, c)
		}
	}
	return out
}

// readTSV parses the file into batches of at most n rows, each of which f owns.
func readTSV(path string, n int, f func(*vec.Batch) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	schema := lineitem()
	colTypes := make([]types.ColumnType, len(schema.Columns))
	for i := range colTypes {
		colTypes[i] = schema.Columns[i].Type
	}
	b := vec.NewBuilder(colTypes, n)
	lines := bufio.NewScanner(file)
	lines.Buffer(make([]byte, 1<<20), 1<<20)
	for lines.Scan() {
		if err := parseLine(b, colTypes, lines.Bytes()); err != nil {
			return err
		}
		if b.Len() == n {
			if err := f(b.Cut()); err != nil {
				return err
			}
		}
	}
	if b.Len() > 0 {
		if err := f(b.Finish()); err != nil {
			return err
		}
	}
	return lines.Err()
}

func parseLine(b *vec.Builder, colTypes []types.ColumnType, line []byte) error {
	for i, t := range colTypes {
		field := line
		if at := bytes.IndexByte(line, '\t'); at >= 0 {
			field, line = line[:at], line[at+1:]
		}
		switch t.Kind {
		case types.KindInt, types.KindBigInt:
			b.Cols[i].AppendInt(digits(field))
		case types.KindDecimal: // always with two decimals
			at := len(field) - 3
			b.Cols[i].AppendInt(digits(field[:at])*100 + digits(field[at+1:]))
		case types.KindDate:
			d, ok := parseDate(field)
			if !ok {
				return fmt.Errorf("date %q", field)
			}
			b.Cols[i].AppendInt(d)
		default:
			b.Cols[i].AppendBytes(field)
		}
	}
	return nil
}

func digits(s []byte) (n int64) {
	for _, c := range s {
		n = n*10 + int64(c-'0')
	}
	return n
}

func parseDate(s []byte) (int64, bool) {
	if len(s) != 10 {
		return 0, false
	}
	return sqltypes.DaysOf(int(digits(s[:4])), int(digits(s[5:7])), int(digits(s[8:]))), true
}

// disk opens a store as a BE does, but for what would disturb measurements.
func disk(dir string, background bool) (*tablet.Store, error) {
	return tablet.Open(dir, diskOptions(background))
}

func diskOptions(background bool) tablet.Options {
	return tablet.Options{ClusterID: "bench", FloodBytes: 1, FloodPercent: 1, MemLimit: 4 << 30, NoBackground: !background,
		Retention: tablet.Retention{Versions: 1000, Age: 1, Bytes: 1 << 30}, ReadAge: 1}
}

func metaOf(id types.TabletID) tablet.Meta {
	return tablet.Meta{Tablet: id, Table: 1, Partition: 1, Replica: types.ReplicaID(id), Schema: lineitem(), Epoch: 1}
}

// loadRows is how many rows of a load make one transaction: a payload holds up to 64 MiB.
const loadRows = 1 << 18

// chunkBytes is how much of a file makes one transaction of a load: some 64 Ki rows.
const chunkBytes = 8 << 20

// load writes a file into a new tablet, as rowsets: as a leader of LOAD DATA does, with lines that are parsed and row groups
// that are encoded by as many goroutines as there are cores, while those before them are stored.
func load(s *tablet.Store, id types.TabletID, path string) (*tablet.Tablet, error) {
	t, err := s.Create(metaOf(id))
	if err != nil {
		return nil, err
	}
	chunks := make(chan chan encoded, runtime.GOMAXPROCS(0))
	stop := make(chan struct{})
	var readErr error // read after chunks is closed
	go func() {
		defer close(chunks)
		readErr = eachChunk(path, func(text []byte) error {
			out := make(chan encoded, 1)
			select {
			case chunks <- out:
			case <-stop:
				return nil
			}
			go func() { out <- encodeChunk(text) }()
			return nil
		})
	}()
	for out := range chunks {
		e := <-out
		if err == nil {
			err = e.err
		}
		if err == nil {
			v := t.Version() + 1
			if err = t.Prepare(context.Background(), types.TxnID(v), e.payload); err == nil {
				err = t.Publish(types.TxnID(v), v)
			}
			if err != nil {
				close(stop)
			}
		}
	}
	if err := errors.Join(readErr, err); err != nil {
		return nil, err
	}
	return t, t.Flush()
}

// encoded is a chunk as it is sent to replicas.
type encoded struct {
	payload []byte
	err     error
}

func encodeChunk(text []byte) encoded {
	schema := lineitem()
	colTypes := make([]types.ColumnType, len(schema.Columns))
	for i := range colTypes {
		colTypes[i] = schema.Columns[i].Type
	}
	b := vec.NewBuilder(colTypes, bytes.Count(text, []byte{'\n'})+1)
	for len(text) > 0 {
		line := text
		if at := bytes.IndexByte(text, '\n'); at >= 0 {
			line, text = text[:at], text[at+1:]
		} else {
			text = nil
		}
		if err := parseLine(b, colTypes, line); err != nil {
			return encoded{err: err}
		}
	}
	rows := b.Finish()
	keys := vec.EncodeKeys(rows, schema.KeyIndexes())
	if !slices.IsSortedFunc(keys, bytes.Compare) {
		return encoded{err: errors.New("the file is not in the order of its keys")}
	}
	payload, err := wire.EncodeGrouped(&schema, rows, keys)
	return encoded{payload, err}
}

// eachChunk reads a file in pieces of whole lines, each of which f owns.
func eachChunk(path string, f func(text []byte) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	var rest []byte
	for {
		text := append(make([]byte, 0, chunkBytes+len(rest)), rest...)
		n, err := io.ReadFull(file, text[len(rest):cap(text)])
		text = text[:len(rest)+n]
		if err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				err = nil
			}
			if err == nil && len(text) > 0 {
				err = f(text)
			}
			return err
		}
		cut := bytes.LastIndexByte(text, '\n') + 1
		rest = bytes.Clone(text[cut:])
		if err := f(text[:cut]); err != nil {
			return err
		}
	}
}

// commit makes rows the next version of a tablet.
func commit(t *tablet.Tablet, ops []types.RowOp, b *vec.Batch) error {
	schema := t.Schema()
	payload, err := wire.Encode(schema, ops, b)
	if err != nil {
		return err
	}
	v := t.Version() + 1
	if err := t.Prepare(context.Background(), types.TxnID(v), payload); err != nil {
		return err
	}
	return t.Publish(types.TxnID(v), v)
}
