//go:build !linux

package clone

// stayBehind does nothing: here threads have no priority of their own.
func stayBehind() {}
