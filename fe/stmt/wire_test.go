package stmt

import (
	"reflect"
	"testing"
)

// TestHeadTravels: nothing that a statement came to is lost between the FE that leads and the one that has the session.
func TestHeadTravels(t *testing.T) {
	sent := Result{Columns: Cols("A int x"), Filter: Filter{Like: "a%", IsLike: true}, Affected: 7, Info: "done", Notes: []string{"one", "two"}}
	for i, of := 0, reflect.ValueOf(sent); i < of.NumField(); i++ {
		switch name := of.Type().Field(i).Name; name {
		case "Rows", "Batches": // they follow the head
		default:
			if of.Field(i).IsZero() {
				t.Errorf("%s is not tried", name)
			}
		}
	}
	head, err := EncodeHead(sent, 42)
	if err != nil {
		t.Fatal(err)
	}
	if got, index, err := DecodeHead(head); err != nil || index != 42 || !reflect.DeepEqual(got, sent) {
		t.Errorf("%+v at %d, %v", got, index, err)
	}
}
