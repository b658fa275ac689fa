package command

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"stele/meta/command/canon"
	"stele/meta/model"
	"stele/meta/types"
)

var update = flag.Bool("update", false, "rewrite the golden bytes; only for commands that no release has written yet")

// fill sets every field of a value to something that is not its zero, so that a lost field is noticed, but those that no command has.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Struct:
		for i := range v.NumField() {
			if travels(v.Type().Field(i)) {
				fill(v.Field(i), n)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			fill(v.Index(i), n)
		}
	case reflect.String:
		v.SetString(fmt.Sprintf("s%d", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint8:
		v.SetUint(uint64(*n%200 + 1))
	case reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(*n))
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(int64(*n))
	default:
		panic(fmt.Sprintf("BUG: fill %s", v.Type()))
	}
}

// travels is false for what a record of the catalog has and no command carries.
func travels(f reflect.StructField) bool { return f.Tag.Get("cbor") != "-" }

func filled() []Command {
	var known []Type
	for t := range specs {
		known = append(known, t)
	}
	slices.Sort(known)
	var out []Command
	for _, t := range known {
		c := specs[t].make()
		n := 0
		fill(reflect.ValueOf(c).Elem(), &n)
		out = append(out, c)
	}
	return append(out, &Batch{Commands: []Command{
		&AllocIDs{Counter: CounterTxns, N: 3, TimeMs: 9},
		&CommitTxn{Txn: 7, TimeMs: 8, Tablets: []TxnTablet{{Tablet: 1, Epoch: 2, OK: []types.ReplicaID{3, 4}, Rows: -5}}},
	}})
}

func TestRoundTripAndGolden(t *testing.T) {
	var lines []string
	for _, c := range filled() {
		b, err := Encode(c)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(b)
		if err != nil {
			t.Fatalf("%s: %v", c.Type(), err)
		}
		if !reflect.DeepEqual(c, got) {
			t.Errorf("%s came back as %+v, want %+v", c.Type(), got, c)
		}
		lines = append(lines, c.Type().String()+" "+hex.EncodeToString(b))
	}
	if *update {
		if err := os.WriteFile("testdata/golden_v1.txt", []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile("testdata/golden_v1.txt")
	if err != nil {
		t.Fatal(err)
	}
	// Golden entries must decode for ever and mean the same: encoding what they decode to gives today's bytes.
	byName := map[string]Command{}
	for line := range strings.Lines(string(golden)) {
		name, hexed, _ := strings.Cut(strings.TrimSpace(line), " ")
		b, err := hex.DecodeString(hexed)
		if err != nil {
			t.Fatal(err)
		}
		if byName[name], err = Decode(b); err != nil {
			t.Errorf("golden %s: %v", name, err)
		}
	}
	for _, c := range filled() {
		if got := byName[c.Type().String()]; !reflect.DeepEqual(got, c) {
			t.Errorf("golden %s decodes to %+v, want %+v", c.Type(), got, c)
		}
	}
}

func TestRefusesTheUnknownByName(t *testing.T) {
	good, err := Encode(&DropTable{ID: 5})
	if err != nil {
		t.Fatal(err)
	}
	change := func(at int, v byte) []byte {
		b := bytes.Clone(good)
		b[at] = v
		return b
	}
	extra, err := canon.Enc.Marshal(map[int]int{1: 5, 99: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		in   []byte
		want string // of an UnknownError; "" = corrupt
	}{
		{"unknown type", change(4, 0x7f), `command "drop_table" (type 32525, version 1) is unknown to this binary: upgrade this FE`},
		{"newer body", change(3, 2), `command "drop_table" is of version 2, this binary knows up to 1: upgrade this FE`},
		{"newer format", change(2, 2), `command format 2 is newer than 1: upgrade this FE`},
		{"other name", change(headerSize, 'x'), `command "xrop_table" (type 13, version 1) is unknown to this binary: upgrade this FE`},
		{"unknown field", append(appendHeader(nil, 1, TypeDropTable, "drop_table"), extra...), `command "drop_table" carries a field that this binary does not know: upgrade this FE`},
		{"no magic", change(0, 'x'), ""},
		{"truncated", good[:len(good)-1], ""},
		{"header only", good[:4], ""},
		{"trailing bytes", append(bytes.Clone(good), 0), ""},
		{"empty", nil, ""},
		{"batch cut short", append(appendHeader(nil, 1, TypeBatch, "batch"), 0, 0, 0, 9, 1), ""},
	} {
		c, err := Decode(tc.in)
		var unknown *UnknownError
		switch {
		case err == nil:
			t.Errorf("%s: decoded to %+v", tc.name, c)
		case tc.want == "" && !errors.Is(err, ErrCorrupt):
			t.Errorf("%s: got %v, want ErrCorrupt", tc.name, err)
		case tc.want != "" && (!errors.As(err, &unknown) || err.Error() != tc.want):
			t.Errorf("%s: got %v, want %s", tc.name, err, tc.want)
		}
	}
}

func TestBatchBounds(t *testing.T) {
	if _, err := Encode(&Batch{Commands: []Command{&Batch{}}}); err == nil {
		t.Error("a batch within a batch was encoded")
	}
	one, err := Encode(&DropTable{ID: 1})
	if err != nil {
		t.Fatal(err)
	}
	many := slices.Repeat([][]byte{one}, MaxBatchCommands+1)
	if _, err := EncodeBatch(many); err == nil {
		t.Error("an oversized batch was encoded")
	}
	inner, err := EncodeBatch([][]byte{one})
	if err != nil {
		t.Fatal(err)
	}
	outer, err := EncodeBatch([][]byte{inner})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Decode(outer); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a batch within a batch was decoded: %v", err)
	}
}

// FuzzDecode: whatever comes in, Decode answers; and what it accepts it writes the same way again.
func FuzzDecode(f *testing.F) {
	for _, c := range filled() {
		b, err := Encode(c)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("SC\x01\x01\x00\x01\x05batch"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, in []byte) {
		c, err := Decode(in)
		if err != nil {
			var unknown *UnknownError
			if !errors.As(err, &unknown) && !errors.Is(err, ErrCorrupt) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		out, err := Encode(c)
		if err != nil {
			t.Fatalf("encode what was decoded: %v", err)
		}
		again, err := Decode(out)
		if err != nil || again.Type() != c.Type() {
			t.Fatalf("decode again: %v", err)
		}
		if twice, _ := Encode(again); !bytes.Equal(out, twice) {
			t.Fatalf("encoding is not stable: %x, then %x", out, twice)
		}
	})
}

func TestModelFieldsHaveKeys(t *testing.T) {
	// A field without a CBOR key would be written by name and break the compact format unnoticed.
	var check func(reflect.Type)
	seen := map[reflect.Type]bool{}
	check = func(ty reflect.Type) {
		for ty.Kind() == reflect.Slice || ty.Kind() == reflect.Pointer {
			ty = ty.Elem()
		}
		if ty.Kind() != reflect.Struct || seen[ty] || ty == reflect.TypeFor[Batch]() {
			return
		}
		seen[ty] = true
		for i := range ty.NumField() {
			f := ty.Field(i)
			if !travels(f) {
				continue
			}
			if !strings.Contains(f.Tag.Get("cbor"), ",keyasint") {
				t.Errorf("%s.%s has no integer CBOR key", ty, f.Name)
			}
			check(f.Type)
		}
	}
	for _, c := range filled() {
		check(reflect.TypeOf(c).Elem())
	}
	check(reflect.TypeFor[model.TabletVersion]())
}
