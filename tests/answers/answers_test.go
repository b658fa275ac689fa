package answers

import "testing"

func TestDiffer(t *testing.T) {
	for _, c := range []struct {
		a, b  string
		least float64
		same  bool
	}{
		{"=1", "=1", 0, true}, {"=1", "=2", 0, false}, {"=a", "=A", 0, false}, {"NULL", "=0", 0, false},
		{"=0.1", "=0.10000000001", 0, true}, {"=0.1", "=0.1000001", 0, false},
		{"=1e-12", "=0e0", 0, false}, {"=1e-12", "=0e0", 1, true}, {"=0e0", "=0.0", 0, true},
		{"=10000000000", "=10000000001", 0, false}, // integers are exact
	} {
		at := Differ([][]string{{c.a}}, [][]string{{c.b}}, c.least)
		if (at == -1) != c.same {
			t.Errorf("%s and %s differ at %d", c.a, c.b, at)
		}
	}
	if at := Differ([][]string{{"=1"}, {"=2"}}, [][]string{{"=1"}}, 0); at != 1 {
		t.Errorf("a row more differs at %d", at)
	}
}

func TestSortPassesOverLastDigits(t *testing.T) {
	a, b := [][]string{{"=0.30000000001", "=y"}, {"=0.3", "=x"}, {"=-1"}}, [][]string{{"=-1"}, {"=0.3", "=y"}, {"=0.30000000001", "=x"}}
	Sort(a)
	Sort(b)
	if at := Differ(a, b, 0); at != -1 {
		t.Errorf("%q and %q differ at %d", a, b, at)
	}
}
