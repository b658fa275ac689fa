package parse

import "github.com/pingcap/tidb/pkg/parser/ast"

// The nodes of the MySQL grammar, for those who walk statements without importing the parser. The names are the parser's.

// The interfaces of nodes.
type (
	TexprNode = ast.TexprNode
)

// The interfaces of nodes and visitors.
type (
	Node          = ast.Node
	ExprNode      = ast.ExprNode
	OptBinary     = ast.OptBinary
	FuncNode      = ast.FuncNode
	StmtNode      = ast.StmtNode
	DDLNode       = ast.DDLNode
	DMLNode       = ast.DMLNode
	ResultSetNode = ast.ResultSetNode
	Visitor       = ast.Visitor
)

// Expressions.
type (
	ValueExpr              = ast.ValueExpr
	BetweenExpr            = ast.BetweenExpr
	BinaryOperationExpr    = ast.BinaryOperationExpr
	WhenClause             = ast.WhenClause
	CaseExpr               = ast.CaseExpr
	SubqueryExpr           = ast.SubqueryExpr
	CompareSubqueryExpr    = ast.CompareSubqueryExpr
	TableNameExpr          = ast.TableNameExpr
	ColumnName             = ast.ColumnName
	ColumnNameExpr         = ast.ColumnNameExpr
	DefaultExpr            = ast.DefaultExpr
	ExistsSubqueryExpr     = ast.ExistsSubqueryExpr
	PatternInExpr          = ast.PatternInExpr
	IsNullExpr             = ast.IsNullExpr
	IsTruthExpr            = ast.IsTruthExpr
	PatternLikeOrIlikeExpr = ast.PatternLikeOrIlikeExpr
	ParamMarkerExpr        = ast.ParamMarkerExpr
	ParenthesesExpr        = ast.ParenthesesExpr
	PositionExpr           = ast.PositionExpr
	PatternRegexpExpr      = ast.PatternRegexpExpr
	RowExpr                = ast.RowExpr
	UnaryOperationExpr     = ast.UnaryOperationExpr
	ValuesExpr             = ast.ValuesExpr
	VariableExpr           = ast.VariableExpr
	MaxValueExpr           = ast.MaxValueExpr
	MatchAgainst           = ast.MatchAgainst
	SetCollationExpr       = ast.SetCollationExpr
)

// Function calls.
type (
	FuncCallExprType      = ast.FuncCallExprType
	FuncCallExpr          = ast.FuncCallExpr
	CastFunctionType      = ast.CastFunctionType
	JSONSumCrc32Expr      = ast.JSONSumCrc32Expr
	FuncCastExpr          = ast.FuncCastExpr
	TrimDirectionType     = ast.TrimDirectionType
	TrimDirectionExpr     = ast.TrimDirectionExpr
	DateArithType         = ast.DateArithType
	AggregateFuncExpr     = ast.AggregateFuncExpr
	WindowFuncExpr        = ast.WindowFuncExpr
	TimeUnitType          = ast.TimeUnitType
	TimeUnitExpr          = ast.TimeUnitExpr
	GetFormatSelectorType = ast.GetFormatSelectorType
	GetFormatSelectorExpr = ast.GetFormatSelectorExpr
)

// Queries and changes of rows.
type (
	JoinType               = ast.JoinType
	Join                   = ast.Join
	TableName              = ast.TableName
	IndexHintType          = ast.IndexHintType
	IndexHintScope         = ast.IndexHintScope
	IndexHint              = ast.IndexHint
	DeleteTableList        = ast.DeleteTableList
	OnCondition            = ast.OnCondition
	TableSource            = ast.TableSource
	SelectLockType         = ast.SelectLockType
	SelectLockInfo         = ast.SelectLockInfo
	WildCardField          = ast.WildCardField
	SelectField            = ast.SelectField
	FieldList              = ast.FieldList
	TableRefsClause        = ast.TableRefsClause
	ByItem                 = ast.ByItem
	GroupByClause          = ast.GroupByClause
	HavingClause           = ast.HavingClause
	OrderByClause          = ast.OrderByClause
	SampleMethodType       = ast.SampleMethodType
	SampleClauseUnitType   = ast.SampleClauseUnitType
	TableSample            = ast.TableSample
	SelectStmtKind         = ast.SelectStmtKind
	CommonTableExpression  = ast.CommonTableExpression
	WithClause             = ast.WithClause
	SelectStmt             = ast.SelectStmt
	SetOprSelectList       = ast.SetOprSelectList
	SetOprType             = ast.SetOprType
	SetOprStmt             = ast.SetOprStmt
	Assignment             = ast.Assignment
	ColumnNameOrUserVar    = ast.ColumnNameOrUserVar
	FileLocRefTp           = ast.FileLocRefTp
	LoadDataStmt           = ast.LoadDataStmt
	LoadDataOpt            = ast.LoadDataOpt
	FieldItem              = ast.FieldItem
	FieldsClause           = ast.FieldsClause
	LinesClause            = ast.LinesClause
	CallStmt               = ast.CallStmt
	InsertStmt             = ast.InsertStmt
	DeleteStmt             = ast.DeleteStmt
	ShardableDMLStmt       = ast.ShardableDMLStmt
	UpdateStmt             = ast.UpdateStmt
	Limit                  = ast.Limit
	ShowStmtType           = ast.ShowStmtType
	ShowStmt               = ast.ShowStmt
	WindowSpec             = ast.WindowSpec
	SelectIntoType         = ast.SelectIntoType
	SelectIntoOption       = ast.SelectIntoOption
	PartitionByClause      = ast.PartitionByClause
	FrameType              = ast.FrameType
	FrameClause            = ast.FrameClause
	FrameExtent            = ast.FrameExtent
	BoundType              = ast.BoundType
	FrameBound             = ast.FrameBound
	FulltextSearchModifier = ast.FulltextSearchModifier
)

// Definitions.
type (
	CharsetOpt                        = ast.CharsetOpt
	NullString                        = ast.NullString
	DatabaseOptionType                = ast.DatabaseOptionType
	DatabaseOption                    = ast.DatabaseOption
	CreateDatabaseStmt                = ast.CreateDatabaseStmt
	AlterDatabaseStmt                 = ast.AlterDatabaseStmt
	DropDatabaseStmt                  = ast.DropDatabaseStmt
	IndexPartSpecification            = ast.IndexPartSpecification
	MatchType                         = ast.MatchType
	ReferenceDef                      = ast.ReferenceDef
	OnDeleteOpt                       = ast.OnDeleteOpt
	OnUpdateOpt                       = ast.OnUpdateOpt
	ColumnOptionType                  = ast.ColumnOptionType
	ColumnOptionList                  = ast.ColumnOptionList
	ColumnOption                      = ast.ColumnOption
	IndexVisibility                   = ast.IndexVisibility
	IndexOption                       = ast.IndexOption
	ConstraintType                    = ast.ConstraintType
	Constraint                        = ast.Constraint
	ColumnDef                         = ast.ColumnDef
	TemporaryKeyword                  = ast.TemporaryKeyword
	CreateTableStmt                   = ast.CreateTableStmt
	DropTableStmt                     = ast.DropTableStmt
	OptimizeTableStmt                 = ast.OptimizeTableStmt
	RenameTableStmt                   = ast.RenameTableStmt
	TableToTable                      = ast.TableToTable
	CreateViewStmt                    = ast.CreateViewStmt
	IndexLockAndAlgorithm             = ast.IndexLockAndAlgorithm
	IndexKeyType                      = ast.IndexKeyType
	CreateIndexStmt                   = ast.CreateIndexStmt
	DropIndexStmt                     = ast.DropIndexStmt
	UnlockTablesStmt                  = ast.UnlockTablesStmt
	TableOptionType                   = ast.TableOptionType
	OnDuplicateKeyHandlingType        = ast.OnDuplicateKeyHandlingType
	TableOption                       = ast.TableOption
	ColumnPositionType                = ast.ColumnPositionType
	ColumnPosition                    = ast.ColumnPosition
	AlterTableType                    = ast.AlterTableType
	LockType                          = ast.LockType
	AlgorithmType                     = ast.AlgorithmType
	AlterTableSpec                    = ast.AlterTableSpec
	AlterOrderItem                    = ast.AlterOrderItem
	AlterTableStmt                    = ast.AlterTableStmt
	TruncateTableStmt                 = ast.TruncateTableStmt
	SubPartitionDefinition            = ast.SubPartitionDefinition
	PartitionDefinitionClause         = ast.PartitionDefinitionClause
	PartitionDefinitionClauseNone     = ast.PartitionDefinitionClauseNone
	PartitionDefinitionClauseLessThan = ast.PartitionDefinitionClauseLessThan
	PartitionDefinitionClauseIn       = ast.PartitionDefinitionClauseIn
	PartitionDefinitionClauseHistory  = ast.PartitionDefinitionClauseHistory
	PartitionDefinition               = ast.PartitionDefinition
	PartitionMethod                   = ast.PartitionMethod
	PartitionKeyAlgorithm             = ast.PartitionKeyAlgorithm
	PartitionOptions                  = ast.PartitionOptions
)

// Sessions, transactions, users and the rest.
type (
	TypeOpt                  = ast.TypeOpt
	FloatOpt                 = ast.FloatOpt
	AuthOption               = ast.AuthOption
	TraceStmt                = ast.TraceStmt
	ExplainForStmt           = ast.ExplainForStmt
	ExplainStmt              = ast.ExplainStmt
	PrepareStmt              = ast.PrepareStmt
	DeallocateStmt           = ast.DeallocateStmt
	ExecuteStmt              = ast.ExecuteStmt
	BeginStmt                = ast.BeginStmt
	CompletionType           = ast.CompletionType
	CommitStmt               = ast.CommitStmt
	RollbackStmt             = ast.RollbackStmt
	UseStmt                  = ast.UseStmt
	VariableAssignment       = ast.VariableAssignment
	FlushStmtType            = ast.FlushStmtType
	LogType                  = ast.LogType
	FlushStmt                = ast.FlushStmt
	KillStmt                 = ast.KillStmt
	SavepointStmt            = ast.SavepointStmt
	ReleaseSavepointStmt     = ast.ReleaseSavepointStmt
	SetStmt                  = ast.SetStmt
	SetPwdStmt               = ast.SetPwdStmt
	SetRoleStmtType          = ast.SetRoleStmtType
	SetRoleStmt              = ast.SetRoleStmt
	SetDefaultRoleStmt       = ast.SetDefaultRoleStmt
	UserSpec                 = ast.UserSpec
	AuthTokenOrTLSOption     = ast.AuthTokenOrTLSOption
	AuthTokenOrTLSOptionType = ast.AuthTokenOrTLSOptionType
	PasswordOrLockOption     = ast.PasswordOrLockOption
	CommentOrAttributeOption = ast.CommentOrAttributeOption
	CreateUserStmt           = ast.CreateUserStmt
	AlterUserStmt            = ast.AlterUserStmt
	DropUserStmt             = ast.DropUserStmt
	StringOrUserVar          = ast.StringOrUserVar
	DoStmt                   = ast.DoStmt
	StatementScope           = ast.StatementScope
	RoleOrPriv               = ast.RoleOrPriv
	PrivElem                 = ast.PrivElem
	ObjectTypeType           = ast.ObjectTypeType
	GrantLevelType           = ast.GrantLevelType
	GrantLevel               = ast.GrantLevel
	RevokeStmt               = ast.RevokeStmt
	RevokeRoleStmt           = ast.RevokeRoleStmt
	GrantStmt                = ast.GrantStmt
	GrantProxyStmt           = ast.GrantProxyStmt
	GrantRoleStmt            = ast.GrantRoleStmt
	RenameUserStmt           = ast.RenameUserStmt
	UserToUser               = ast.UserToUser
	SelectStmtOpts           = ast.SelectStmtOpts
	TableOptimizerHint       = ast.TableOptimizerHint
	HintTable                = ast.HintTable
	TextString               = ast.TextString
	BinaryLiteral            = ast.BinaryLiteral
)

// Words that definitions share.
type (
	TableLockType   = ast.TableLockType
	ViewAlgorithm   = ast.ViewAlgorithm
	ViewSecurity    = ast.ViewSecurity
	ViewCheckOption = ast.ViewCheckOption
	PartitionType   = ast.PartitionType
	PrimaryKeyType  = ast.PrimaryKeyType
	IndexType       = ast.IndexType
	ReferOptionType = ast.ReferOptionType
	CIStr           = ast.CIStr
	ColumnChoice    = ast.ColumnChoice
)

// ANALYZE.
type (
	AnalyzeTableStmt  = ast.AnalyzeTableStmt
	AnalyzeOptionType = ast.AnalyzeOptionType
	AnalyzeOpt        = ast.AnalyzeOpt
)
