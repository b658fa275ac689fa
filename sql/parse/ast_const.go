package parse

import "github.com/pingcap/tidb/pkg/parser/ast"

// The enumerations of the nodes in ast.go, under the parser's names. Functions are told by FuncCallExpr.FnName.L.

// The values that start with FlagConstant.
const (
	FlagConstant         = ast.FlagConstant
	FlagHasParamMarker   = ast.FlagHasParamMarker
	FlagHasFunc          = ast.FlagHasFunc
	FlagHasReference     = ast.FlagHasReference
	FlagHasAggregateFunc = ast.FlagHasAggregateFunc
	FlagHasSubquery      = ast.FlagHasSubquery
	FlagHasVariable      = ast.FlagHasVariable
	FlagHasDefault       = ast.FlagHasDefault
	FlagPreEvaluated     = ast.FlagPreEvaluated
	FlagHasWindowFunc    = ast.FlagHasWindowFunc
)

// The values that start with FuncCallExprTypeKeyword.
const (
	FuncCallExprTypeKeyword = ast.FuncCallExprTypeKeyword
	FuncCallExprTypeGeneric = ast.FuncCallExprTypeGeneric
)

// The values that start with CastFunction.
const (
	CastFunction        = ast.CastFunction
	CastConvertFunction = ast.CastConvertFunction
	CastBinaryOperator  = ast.CastBinaryOperator
)

// The values that start with TrimBothDefault.
const (
	TrimBothDefault = ast.TrimBothDefault
	TrimBoth        = ast.TrimBoth
	TrimLeading     = ast.TrimLeading
	TrimTrailing    = ast.TrimTrailing
)

// The values that start with DateArithAdd.
const (
	DateArithAdd = ast.DateArithAdd
	DateArithSub = ast.DateArithSub
)

// The values that start with AggFuncCount.
const (
	AggFuncCount               = ast.AggFuncCount
	AggFuncSum                 = ast.AggFuncSum
	AggFuncAvg                 = ast.AggFuncAvg
	AggFuncFirstRow            = ast.AggFuncFirstRow
	AggFuncMax                 = ast.AggFuncMax
	AggFuncMin                 = ast.AggFuncMin
	AggFuncGroupConcat         = ast.AggFuncGroupConcat
	AggFuncBitOr               = ast.AggFuncBitOr
	AggFuncBitXor              = ast.AggFuncBitXor
	AggFuncBitAnd              = ast.AggFuncBitAnd
	AggFuncVarPop              = ast.AggFuncVarPop
	AggFuncVarSamp             = ast.AggFuncVarSamp
	AggFuncStddevPop           = ast.AggFuncStddevPop
	AggFuncStddevSamp          = ast.AggFuncStddevSamp
	AggFuncJsonArrayagg        = ast.AggFuncJsonArrayagg
	AggFuncJsonObjectAgg       = ast.AggFuncJsonObjectAgg
	AggFuncApproxCountDistinct = ast.AggFuncApproxCountDistinct
	AggFuncApproxPercentile    = ast.AggFuncApproxPercentile
)

// The values that start with WindowFuncRowNumber.
const (
	WindowFuncRowNumber   = ast.WindowFuncRowNumber
	WindowFuncRank        = ast.WindowFuncRank
	WindowFuncDenseRank   = ast.WindowFuncDenseRank
	WindowFuncCumeDist    = ast.WindowFuncCumeDist
	WindowFuncPercentRank = ast.WindowFuncPercentRank
	WindowFuncNtile       = ast.WindowFuncNtile
	WindowFuncLead        = ast.WindowFuncLead
	WindowFuncLag         = ast.WindowFuncLag
	WindowFuncFirstValue  = ast.WindowFuncFirstValue
	WindowFuncLastValue   = ast.WindowFuncLastValue
	WindowFuncNthValue    = ast.WindowFuncNthValue
)

// The values that start with TimeUnitInvalid.
const (
	TimeUnitInvalid           = ast.TimeUnitInvalid
	TimeUnitMicrosecond       = ast.TimeUnitMicrosecond
	TimeUnitSecond            = ast.TimeUnitSecond
	TimeUnitMinute            = ast.TimeUnitMinute
	TimeUnitHour              = ast.TimeUnitHour
	TimeUnitDay               = ast.TimeUnitDay
	TimeUnitWeek              = ast.TimeUnitWeek
	TimeUnitMonth             = ast.TimeUnitMonth
	TimeUnitQuarter           = ast.TimeUnitQuarter
	TimeUnitYear              = ast.TimeUnitYear
	TimeUnitSecondMicrosecond = ast.TimeUnitSecondMicrosecond
	TimeUnitMinuteMicrosecond = ast.TimeUnitMinuteMicrosecond
	TimeUnitMinuteSecond      = ast.TimeUnitMinuteSecond
	TimeUnitHourMicrosecond   = ast.TimeUnitHourMicrosecond
	TimeUnitHourSecond        = ast.TimeUnitHourSecond
	TimeUnitHourMinute        = ast.TimeUnitHourMinute
	TimeUnitDayMicrosecond    = ast.TimeUnitDayMicrosecond
	TimeUnitDaySecond         = ast.TimeUnitDaySecond
	TimeUnitDayMinute         = ast.TimeUnitDayMinute
	TimeUnitDayHour           = ast.TimeUnitDayHour
	TimeUnitYearMonth         = ast.TimeUnitYearMonth
)

// The values that start with GetFormatSelectorDate.
const (
	GetFormatSelectorDate     = ast.GetFormatSelectorDate
	GetFormatSelectorTime     = ast.GetFormatSelectorTime
	GetFormatSelectorDatetime = ast.GetFormatSelectorDatetime
)

// The values that start with CrossJoin.
const (
	CrossJoin = ast.CrossJoin
	LeftJoin  = ast.LeftJoin
	RightJoin = ast.RightJoin
)

// The values that start with HintUse.
const (
	HintUse          = ast.HintUse
	HintIgnore       = ast.HintIgnore
	HintForce        = ast.HintForce
	HintOrderIndex   = ast.HintOrderIndex
	HintNoOrderIndex = ast.HintNoOrderIndex
)

// The values that start with HintForScan.
const (
	HintForScan    = ast.HintForScan
	HintForJoin    = ast.HintForJoin
	HintForOrderBy = ast.HintForOrderBy
	HintForGroupBy = ast.HintForGroupBy
)

// The values that start with SelectLockNone.
const (
	SelectLockNone                = ast.SelectLockNone
	SelectLockForUpdate           = ast.SelectLockForUpdate
	SelectLockForShare            = ast.SelectLockForShare
	SelectLockForUpdateNoWait     = ast.SelectLockForUpdateNoWait
	SelectLockForUpdateWaitN      = ast.SelectLockForUpdateWaitN
	SelectLockForShareNoWait      = ast.SelectLockForShareNoWait
	SelectLockForUpdateSkipLocked = ast.SelectLockForUpdateSkipLocked
	SelectLockForShareSkipLocked  = ast.SelectLockForShareSkipLocked
)

// The values that start with SampleMethodTypeNone.
const (
	SampleMethodTypeNone      = ast.SampleMethodTypeNone
	SampleMethodTypeSystem    = ast.SampleMethodTypeSystem
	SampleMethodTypeBernoulli = ast.SampleMethodTypeBernoulli
)

// The values that start with SampleClauseUnitTypeDefault.
const (
	SampleClauseUnitTypeDefault = ast.SampleClauseUnitTypeDefault
	SampleClauseUnitTypeRow     = ast.SampleClauseUnitTypeRow
	SampleClauseUnitTypePercent = ast.SampleClauseUnitTypePercent
)

// The values that start with SelectStmtKindSelect.
const (
	SelectStmtKindSelect = ast.SelectStmtKindSelect
	SelectStmtKindTable  = ast.SelectStmtKindTable
	SelectStmtKindValues = ast.SelectStmtKindValues
)

// The values that start with Union.
const (
	Union        = ast.Union
	UnionAll     = ast.UnionAll
	Except       = ast.Except
	ExceptAll    = ast.ExceptAll
	Intersect    = ast.Intersect
	IntersectAll = ast.IntersectAll
)

// The values that start with FileLocServerOrRemote.
const (
	FileLocServerOrRemote = ast.FileLocServerOrRemote
	FileLocClient         = ast.FileLocClient
)

// The values that start with Terminated.
const (
	Terminated    = ast.Terminated
	Enclosed      = ast.Enclosed
	Escaped       = ast.Escaped
	DefinedNullBy = ast.DefinedNullBy
)

// The values that start with ShowNone.
const (
	ShowNone           = ast.ShowNone
	ShowEngines        = ast.ShowEngines
	ShowDatabases      = ast.ShowDatabases
	ShowTables         = ast.ShowTables
	ShowTableStatus    = ast.ShowTableStatus
	ShowColumns        = ast.ShowColumns
	ShowWarnings       = ast.ShowWarnings
	ShowCharset        = ast.ShowCharset
	ShowVariables      = ast.ShowVariables
	ShowStatus         = ast.ShowStatus
	ShowCollation      = ast.ShowCollation
	ShowCreateTable    = ast.ShowCreateTable
	ShowCreateView     = ast.ShowCreateView
	ShowCreateUser     = ast.ShowCreateUser
	ShowGrants         = ast.ShowGrants
	ShowTriggers       = ast.ShowTriggers
	ShowFunctionStatus = ast.ShowFunctionStatus
	ShowIndex          = ast.ShowIndex
	ShowProcessList    = ast.ShowProcessList
	ShowCreateDatabase = ast.ShowCreateDatabase
	ShowConfig         = ast.ShowConfig
	ShowEvents         = ast.ShowEvents
	ShowPlugins        = ast.ShowPlugins
	ShowProfile        = ast.ShowProfile
	ShowProfiles       = ast.ShowProfiles
	ShowMasterStatus   = ast.ShowMasterStatus
	ShowPrivileges     = ast.ShowPrivileges
	ShowErrors         = ast.ShowErrors
	ShowOpenTables     = ast.ShowOpenTables
	ShowAnalyzeStatus  = ast.ShowAnalyzeStatus
	ShowRegions        = ast.ShowRegions
	ShowBuiltins       = ast.ShowBuiltins
	ShowTableNextRowId = ast.ShowTableNextRowId
	ShowBackups        = ast.ShowBackups
	ShowRestores       = ast.ShowRestores
	ShowSessionStates  = ast.ShowSessionStates
	ShowReplicaStatus  = ast.ShowReplicaStatus

	ShowProcedureStatus = ast.ShowProcedureStatus
)

// The values that start with ProfileTypeInvalid.
const (
	ProfileTypeInvalid       = ast.ProfileTypeInvalid
	ProfileTypeCPU           = ast.ProfileTypeCPU
	ProfileTypeMemory        = ast.ProfileTypeMemory
	ProfileTypeBlockIo       = ast.ProfileTypeBlockIo
	ProfileTypeContextSwitch = ast.ProfileTypeContextSwitch
	ProfileTypePageFaults    = ast.ProfileTypePageFaults
	ProfileTypeIpc           = ast.ProfileTypeIpc
	ProfileTypeSwaps         = ast.ProfileTypeSwaps
	ProfileTypeSource        = ast.ProfileTypeSource
	ProfileTypeAll           = ast.ProfileTypeAll
)

// The values that start with SelectIntoOutfile.
const (
	SelectIntoOutfile  = ast.SelectIntoOutfile
	SelectIntoDumpfile = ast.SelectIntoDumpfile
	SelectIntoVars     = ast.SelectIntoVars
)

// The values that start with Rows.
const (
	Rows   = ast.Rows
	Ranges = ast.Ranges
	Groups = ast.Groups
)

// The values that start with Following.
const (
	Following  = ast.Following
	Preceding  = ast.Preceding
	CurrentRow = ast.CurrentRow
)

// The values that start with FulltextSearchModifierNaturalLanguageMode.
const (
	FulltextSearchModifierNaturalLanguageMode = ast.FulltextSearchModifierNaturalLanguageMode
	FulltextSearchModifierBooleanMode         = ast.FulltextSearchModifierBooleanMode
	FulltextSearchModifierModeMask            = ast.FulltextSearchModifierModeMask
	FulltextSearchModifierWithQueryExpansion  = ast.FulltextSearchModifierWithQueryExpansion
)
