package fulltext

import (
	"errors"
	"math"
	"slices"
	"testing"

	"stele/meta/types"
)

// texts are those whose ranks MariaDB 10.11 (InnoDB) gave.
var texts = []string{"the quick brown fox", "don't quick_foo Zoë zoe straße", "quick quick fox-trot", "an it of to", "", "foxes are foxy", "日本語テキスト"}

// ranks are the ranks of all texts by a query.
func ranks(q *Query) []float64 {
	of := make([]int64, q.Words())
	rows := make([]Row, len(texts))
	for i, t := range texts {
		rows[i] = q.Read([]byte(t))
		for w, n := range rows[i].Times {
			if n > 0 {
				of[w]++
			}
		}
	}
	var out []float64
	for i := range rows {
		out = append(out, math.Round(q.Rank(rows[i], int64(len(texts)), of)*1000)/1000)
	}
	return out
}

func TestRanksAreInnoDBs(t *testing.T) {
	for _, c := range []struct {
		query   string
		boolean bool
		want    []float64
	}{
		{"fox quick", false, []float64{0.592, 0, 0.888, 0, 0, 0, 0}},
		{"ZOE", false, []float64{0, 1.428, 0, 0, 0, 0, 0}},
		{"the of it", false, []float64{0, 0, 0, 0, 0, 0, 0}},
		{"日本語テキスト", false, []float64{0, 0, 0, 0, 0, 0, 0.714}},
		{"foo", false, []float64{0, 0, 0, 0, 0, 0, 0}},
		{"+the +quick", true, []float64{0, 0, 0, 0, 0, 0, 0}},
		{"+qu +quick", true, []float64{0, 0, 0, 0, 0, 0, 0}},
		{"+fox >quick", true, []float64{1.592, 0, 1.888, 0, 0, 0, 0}},
		{"fox <quick", true, []float64{-0.408, 0, -0.112, 0, 0, 0, 0}},
		{"fox ~quick", true, []float64{-0.408, 0, -0.112, 0, 0, 0, 0}},
		{`"quick fox"`, true, []float64{0, 0, 0.888, 0, 0, 0, 0}},
		{`"quick brown fox"`, true, []float64{1.306, 0, 0, 0, 0, 0, 0}},
		{`"the quick"`, true, []float64{0.296, 0, 0.592, 0, 0, 0, 0}},
		{`+"quick fox" -(brown trot)`, true, []float64{0, 0, 0, 0, 0, 0, 0}},
		{"+(fox foxes) +(trot are)", true, []float64{0, 0, 1.01, 0, 0, 0, 0}},
		{"fox-trot", true, []float64{0.296, 0, 0, 0, 0, 0, 0}},
		{"-fox", true, []float64{0, 0, 0, 0, 0, 0, 0}},
		{"+ fox", true, []float64{0.296, 0, 0.296, 0, 0, 0, 0}},
		{"brown.trot", true, []float64{0.714, 0, 0.714, 0, 0, 0, 0}},
		{"+brown.trot", true, []float64{0, 0, 0, 0, 0, 0, 0}},
		{"+brown.fox", true, []float64{1.01, 0, 0, 0, 0, 0, 0}},
		{"+don't", true, []float64{0, 0.714, 0, 0, 0, 0, 0}},
		{"-brown.zzz +fox", true, []float64{0.296, 0, 0.296, 0, 0, 0, 0}},
		{"*fo", true, []float64{0, 0, 0, 0, 0, 0, 0}},
		{"()", true, []float64{0, 0, 0, 0, 0, 0, 0}},
		{`"unclosed`, true, []float64{0, 0, 0, 0, 0, 0, 0}},
	} {
		q := Natural(c.query, types.CollationGeneralCI)
		if c.boolean {
			var err error
			if q, err = Boolean(c.query, types.CollationGeneralCI); err != nil {
				t.Fatalf("%s: %v", c.query, err)
			}
		}
		if got := ranks(q); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.query, got, c.want)
		}
	}
}

// Words that begin alike are one word here, so ranks differ from InnoDB's, which counts each; what is found does not.
func TestBeginnings(t *testing.T) {
	for query, want := range map[string][]bool{
		"fo*":           {true, false, true, false, false, true, false},
		"+fox* -quick":  {false, false, false, false, false, true, false},
		"+QUI* +FOX":    {true, false, true, false, false, false, false},
		"zoë*":          {false, true, false, false, false, false, false},
		"日本*":           {false, false, false, false, false, false, true},
		"foxes* trotxy": {false, false, false, false, false, true, false},
	} {
		q, err := Boolean(query, types.CollationGeneralCI)
		if err != nil {
			t.Fatal(err)
		}
		for i, text := range texts {
			if got := q.Match(q.Read([]byte(text))); got != want[i] {
				t.Errorf("%s in %q: %v", query, text, got)
			}
		}
	}
}

func TestTextsOfARowAreApart(t *testing.T) {
	q, err := Boolean(`"fox jumps"`, types.CollationBinary)
	if err != nil {
		t.Fatal(err)
	}
	if q.Match(q.Read([]byte("the fox"), []byte("jumps"))) {
		t.Error("a phrase goes over two columns")
	}
	if !q.Match(q.Read(nil, []byte("a fox jumps"))) {
		t.Error("a phrase is not found in the second column")
	}
	if q.Match(q.Read([]byte("a Fox jumps"))) {
		t.Error("bytes compare as letters")
	}
}

func TestWhatBooleanModeRefuses(t *testing.T) {
	for _, query := range []string{"+", "(fox", "fox)", "++fox", "quick@foo", "*", "fox* *"} {
		if _, err := Boolean(query, types.CollationBinary); !errors.As(err, new(*Error)) {
			t.Errorf("%s: %v", query, err)
		}
	}
	if _, err := Boolean(`"quick fox" @5`, types.CollationBinary); !errors.As(err, new(*Unsupported)) {
		t.Errorf("distance: %v", err)
	}
}
