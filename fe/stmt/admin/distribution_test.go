package admin

import "testing"

func TestGraph(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{graph(18, 96, 9), ">"}, {graph(11, 96, 9), ">"}, {graph(9, 96, 9), ""}, {graph(22, 96, 9), ">>"}, {graph(0, 0, 9), ""},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}
