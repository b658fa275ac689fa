package rpc

// What tests need to have a clock of their own.
var (
	LoadSecurityAt = loadSecurity
	KeysChecked    = keysChecked
)
