package plan

import (
	"errors"

	sqltypes "stele/sql/types"
)

// Error is a statement that cannot be planned, with MySQL's number and SQLSTATE.
type Error = sqltypes.Error

// The numbers of MySQL that planning gives.
const (
	CodeBadNull             = 1048
	CodeNoDatabase          = 1046
	CodeUnknownDatabase     = 1049
	CodeAmbiguousColumn     = 1052
	CodeUnknownColumn       = 1054
	CodeNotGrouped          = 1055
	CodeDuplicateColumn     = 1060
	CodeDuplicateKeyName    = 1061
	CodeNotUniqueTable      = 1066
	CodeBadDefault          = 1067
	CodeMultiplePrimary     = 1068
	CodeKeyColumnMissing    = 1072
	CodeTooBig              = 1074
	CodeWrongAutoKey        = 1075
	CodeColumnTwice         = 1110
	CodeInvalidGroupFunc    = 1111
	CodeNoColumns           = 1113
	CodeColumnCount         = 1136
	CodeNullUse             = 1138
	CodeMixedGroup          = 1140
	CodeUnknownTable        = 1146
	CodeWrongArguments      = 1210
	CodeUnionColumns        = 1222
	CodeSafeUpdate          = 1175
	CodeNotSupported        = 1235
	CodeOperandColumns      = 1241
	CodeSubqueryRows        = 1242
	CodeDerivedAlias        = 1248
	CodeTruncatedWrong      = 1292
	CodeBadTableInDelete    = 1109
	CodeUnknownSystemVar    = 1193
	CodeOutOfRange          = 1264
	CodeUnknownFunction     = 1305
	CodeNoDefault           = 1364
	CodeWrongValue          = 1366
	CodeViewColumns         = 1353
	CodeTooLong             = 1406
	CodeWrongObject         = 1347
	CodeViewClause          = 1350
	CodeViewVariable        = 1351
	CodeViewInvalid         = 1356
	CodeViewCheck           = 1369
	CodeViewRecursive       = 1462
	CodeCheckViolated       = 3819
	CodeNotUpdatable        = 1288
	CodeUnresolvedTableLock = 3568
	CodeNotInsertable       = 1471
	CodeColumnNotUpdatable  = 1348
	CodeTooBigPrecision     = 1426
	CodeUnknownCharset      = 1115
	CodeTooBigScale         = 1425
	CodePartitionNotRange   = 1493
	CodePartitionFields     = 1659
	CodeUniqueNeedsAll      = 1503
	CodeSamePartitionName   = 1517
	CodeWrongDate           = 1525
	CodeNoPartition         = 1526
	CodeTooManyPartitions   = 1499
	CodeUnknownPartition    = 1735
	CodeNotPartitioned      = 1747
	codeNotInPartitions     = 1748
	CodeWindowMisuse        = 3593
	CodeOrderNotInSelect    = 3065
	CodeUnknownWindow       = 3579
	CodeFrameStart          = 3584
	CodeFrameEnd            = 3585
	CodeFrameBound          = 3586
	CodeRangeOrder          = 3587
	CodeRangeOfMoments      = 3588
	CodeRangeOfNumbers      = 3589
	CodeUnknownProperty     = 5803
)

// states maps the numbers whose SQLSTATE is not HY000.
var states = map[uint16]string{
	1059: "42000", codeWrongForeignKey: "42000", 1171: "42000", codeDataTruncated: "01000", codeAlgorithm: "0A000", 1069: "42000", 1166: "42000", 1582: "42000", 3057: "42000", 1070: "42000", 1091: "42000", 1170: "42000", 1176: "42000", 1280: "42000", 3152: "42000",
	CodeBadNull: "23000", CodeNoDatabase: "3D000", CodeUnknownDatabase: "42000", CodeAmbiguousColumn: "23000",
	CodeUnknownColumn: "42S22", CodeNotGrouped: "42000", CodeDuplicateColumn: "42S21", CodeDuplicateKeyName: "42000",
	CodeNotUniqueTable: "42000", CodeBadDefault: "42000", CodeMultiplePrimary: "42000", CodeKeyColumnMissing: "42000",
	CodeTooBig: "42000", CodeWrongAutoKey: "42000", CodeColumnTwice: "42000", CodeNoColumns: "42000",
	CodeColumnCount: "21S01", CodeNullUse: "22004", CodeMixedGroup: "42000", CodeUnknownTable: "42S02", CodeUnionColumns: "21000",
	CodeNotSupported: "42000", CodeOperandColumns: "21000", CodeSubqueryRows: "21000", CodeDerivedAlias: "42000",
	CodeTruncatedWrong: "22007", CodeBadTableInDelete: "42S02", CodeOutOfRange: "22003", CodeUnknownFunction: "42000",
	CodeTooLong: "22001", CodeViewCheck: "44000", CodeTooBigPrecision: "42000", CodeTooBigScale: "42000",
}

// errorf makes an Error.
func errorf(code uint16, format string, args ...any) *Error {
	state := states[code]
	if state == "" {
		state = "HY000"
	}
	return sqltypes.Errorf(code, state, format, args...)
}

// refused reports whether a statement is one that Stele does not support.
func refused(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == CodeNotSupported
}

// refuse names a construct that is understood but not offered.
func refuse(what string) *Error {
	return errorf(CodeNotSupported, "This version of Stele doesn't yet support '%s'", what)
}
