package session

import "testing"

func TestIsNextTransaction(t *testing.T) {
	for sql, want := range map[string]bool{"SET TRANSACTION READ ONLY": true, "set  transaction isolation level read committed": true,
		"SET SESSION TRANSACTION READ ONLY": false, "SET transaction_read_only = 1": false} {
		if isNextTransaction(sql) != want {
			t.Errorf("%s: %v", sql, !want)
		}
	}
}
