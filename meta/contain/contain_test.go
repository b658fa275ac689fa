package contain

import (
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
)

var errDamaged = errors.New("damaged")

func decode(b []byte) (n byte, err error) {
	defer As(&err, errDamaged)
	return b[3], nil
}

// TestAs: a panic is an error that says what it means and what it was; what does not panic is left alone.
func TestAs(t *testing.T) {
	if n, err := decode([]byte{1, 2, 3, 4}); n != 4 || err != nil {
		t.Errorf("a whole value: %d, %v", n, err)
	}
	_, err := decode(nil)
	var p *Panic
	var bounds runtime.Error
	if !errors.Is(err, errDamaged) || !errors.As(err, &p) || !errors.As(err, &bounds) || !strings.Contains(err.Error(), "out of range") {
		t.Errorf("an empty value: %v", err)
	}
}

// TestCall: errors pass, and a panic with what is no error is one.
func TestCall(t *testing.T) {
	if err := Call(func() error { return io.EOF }); !errors.Is(err, io.EOF) {
		t.Errorf("an error became %v", err)
	}
	err := Call(func() error { panic("BUG: six") })
	if p := new(Panic); !errors.As(err, &p) || p.Value != "BUG: six" || errors.Unwrap(p) != nil {
		t.Errorf("a panic became %v", err)
	}
}

// TestGroup: the caller gets the panic of one goroutine and the error of another, once the third has ended.
func TestGroup(t *testing.T) {
	var g Group
	ended := false
	begin := make(chan struct{})
	g.Go(func() error { <-begin; panic(errDamaged) })
	g.Go(func() error { <-begin; return io.EOF })
	g.Go(func() error { <-begin; ended = true; return nil })
	close(begin)
	if err := g.Wait(); !errors.Is(err, errDamaged) || !errors.Is(err, io.EOF) || !ended {
		t.Errorf("wait: %v, third ended: %v", err, ended)
	}
	if err := g.Wait(); err != nil {
		t.Errorf("nothing runs any more: %v", err)
	}
}
