package exec

import (
	sqltypes "stele/sql/types"
)

func wantCode(t fataler, err error, code uint16) {
	t.Helper()
	e, ok := sqltypes.AsError(err)
	if !ok || e.Code != code {
		t.Fatalf("got error %v, want number %d", err, code)
	}
}
