package parse

import "github.com/pingcap/tidb/pkg/parser/ast"

// The enumerations of definitions, users and sessions; the rest is in ast_const.go.

// The values that start with DatabaseOptionNone.
const (
	DatabaseOptionNone       = ast.DatabaseOptionNone
	DatabaseOptionCharset    = ast.DatabaseOptionCharset
	DatabaseOptionCollate    = ast.DatabaseOptionCollate
	DatabaseOptionEncryption = ast.DatabaseOptionEncryption
)

// The values that start with MatchNone.
const (
	MatchNone    = ast.MatchNone
	MatchFull    = ast.MatchFull
	MatchPartial = ast.MatchPartial
	MatchSimple  = ast.MatchSimple
)

// The values that start with ColumnOptionNoOption.
const (
	ColumnOptionNoOption                 = ast.ColumnOptionNoOption
	ColumnOptionPrimaryKey               = ast.ColumnOptionPrimaryKey
	ColumnOptionNotNull                  = ast.ColumnOptionNotNull
	ColumnOptionAutoIncrement            = ast.ColumnOptionAutoIncrement
	ColumnOptionDefaultValue             = ast.ColumnOptionDefaultValue
	ColumnOptionUniqKey                  = ast.ColumnOptionUniqKey
	ColumnOptionNull                     = ast.ColumnOptionNull
	ColumnOptionOnUpdate                 = ast.ColumnOptionOnUpdate
	ColumnOptionFulltext                 = ast.ColumnOptionFulltext
	ColumnOptionComment                  = ast.ColumnOptionComment
	ColumnOptionGenerated                = ast.ColumnOptionGenerated
	ColumnOptionReference                = ast.ColumnOptionReference
	ColumnOptionCollate                  = ast.ColumnOptionCollate
	ColumnOptionCheck                    = ast.ColumnOptionCheck
	ColumnOptionColumnFormat             = ast.ColumnOptionColumnFormat
	ColumnOptionStorage                  = ast.ColumnOptionStorage
	ColumnOptionSecondaryEngineAttribute = ast.ColumnOptionSecondaryEngineAttribute
)

// The values that start with IndexVisibilityDefault.
const (
	IndexVisibilityDefault   = ast.IndexVisibilityDefault
	IndexVisibilityVisible   = ast.IndexVisibilityVisible
	IndexVisibilityInvisible = ast.IndexVisibilityInvisible
)

// The values that start with ConstraintNoConstraint.
const (
	ConstraintNoConstraint = ast.ConstraintNoConstraint
	ConstraintPrimaryKey   = ast.ConstraintPrimaryKey
	ConstraintKey          = ast.ConstraintKey
	ConstraintIndex        = ast.ConstraintIndex
	ConstraintUniq         = ast.ConstraintUniq
	ConstraintUniqKey      = ast.ConstraintUniqKey
	ConstraintUniqIndex    = ast.ConstraintUniqIndex
	ConstraintForeignKey   = ast.ConstraintForeignKey
	ConstraintFulltext     = ast.ConstraintFulltext
	ConstraintCheck        = ast.ConstraintCheck
	ConstraintColumnar     = ast.ConstraintColumnar
)

// The values that start with TemporaryNone.
const (
	TemporaryNone   = ast.TemporaryNone
	TemporaryGlobal = ast.TemporaryGlobal
	TemporaryLocal  = ast.TemporaryLocal
)

// The values that start with IndexKeyTypeNone.
const (
	IndexKeyTypeNone     = ast.IndexKeyTypeNone
	IndexKeyTypeUnique   = ast.IndexKeyTypeUnique
	IndexKeyTypeSpatial  = ast.IndexKeyTypeSpatial
	IndexKeyTypeFulltext = ast.IndexKeyTypeFulltext
	IndexKeyTypeColumnar = ast.IndexKeyTypeColumnar
)

// The values that start with ResourceRURate.
const (
	ResourceRURate          = ast.ResourceRURate
	ResourcePriority        = ast.ResourcePriority
	ResourceUnlimitedOption = ast.ResourceUnlimitedOption
)

// The values that start with TableOptionNone.
const (
	TableOptionNone           = ast.TableOptionNone
	TableOptionEngine         = ast.TableOptionEngine
	TableOptionCharset        = ast.TableOptionCharset
	TableOptionCollate        = ast.TableOptionCollate
	TableOptionAutoIdCache    = ast.TableOptionAutoIdCache
	TableOptionAutoIncrement  = ast.TableOptionAutoIncrement
	TableOptionComment        = ast.TableOptionComment
	TableOptionAvgRowLength   = ast.TableOptionAvgRowLength
	TableOptionCheckSum       = ast.TableOptionCheckSum
	TableOptionCompression    = ast.TableOptionCompression
	TableOptionConnection     = ast.TableOptionConnection
	TableOptionPassword       = ast.TableOptionPassword
	TableOptionKeyBlockSize   = ast.TableOptionKeyBlockSize
	TableOptionMaxRows        = ast.TableOptionMaxRows
	TableOptionMinRows        = ast.TableOptionMinRows
	TableOptionDelayKeyWrite  = ast.TableOptionDelayKeyWrite
	TableOptionPackKeys       = ast.TableOptionPackKeys
	TableOptionTablespace     = ast.TableOptionTablespace
	TableOptionNodegroup      = ast.TableOptionNodegroup
	TableOptionDataDirectory  = ast.TableOptionDataDirectory
	TableOptionIndexDirectory = ast.TableOptionIndexDirectory
	TableOptionStorageMedia   = ast.TableOptionStorageMedia
	TableOptionInsertMethod   = ast.TableOptionInsertMethod
	TableOptionTableCheckSum  = ast.TableOptionTableCheckSum
	TableOptionUnion          = ast.TableOptionUnion
	TableOptionEncryption     = ast.TableOptionEncryption
)

// The values that start with OnDuplicateKeyHandlingError.
const (
	OnDuplicateKeyHandlingError   = ast.OnDuplicateKeyHandlingError
	OnDuplicateKeyHandlingIgnore  = ast.OnDuplicateKeyHandlingIgnore
	OnDuplicateKeyHandlingReplace = ast.OnDuplicateKeyHandlingReplace
)

// The values that start with TableOptionCharsetWithoutConvertTo.
const (
	TableOptionCharsetWithoutConvertTo = ast.TableOptionCharsetWithoutConvertTo
	TableOptionCharsetWithConvertTo    = ast.TableOptionCharsetWithConvertTo
)

// The values that start with ColumnPositionNone.
const (
	ColumnPositionNone  = ast.ColumnPositionNone
	ColumnPositionFirst = ast.ColumnPositionFirst
	ColumnPositionAfter = ast.ColumnPositionAfter
)

// The values that start with AlterTableOption.
const (
	AlterTableOption                     = ast.AlterTableOption
	AlterTableAddColumns                 = ast.AlterTableAddColumns
	AlterTableAddConstraint              = ast.AlterTableAddConstraint
	AlterTableDropColumn                 = ast.AlterTableDropColumn
	AlterTableDropPrimaryKey             = ast.AlterTableDropPrimaryKey
	AlterTableDropIndex                  = ast.AlterTableDropIndex
	AlterTableDropForeignKey             = ast.AlterTableDropForeignKey
	AlterTableModifyColumn               = ast.AlterTableModifyColumn
	AlterTableChangeColumn               = ast.AlterTableChangeColumn
	AlterTableRenameColumn               = ast.AlterTableRenameColumn
	AlterTableRenameTable                = ast.AlterTableRenameTable
	AlterTableAlterColumn                = ast.AlterTableAlterColumn
	AlterTableLock                       = ast.AlterTableLock
	AlterTableWriteable                  = ast.AlterTableWriteable
	AlterTableAlgorithm                  = ast.AlterTableAlgorithm
	AlterTableRenameIndex                = ast.AlterTableRenameIndex
	AlterTableForce                      = ast.AlterTableForce
	AlterTableAddPartitions              = ast.AlterTableAddPartitions
	AlterTableCoalescePartitions         = ast.AlterTableCoalescePartitions
	AlterTableDropPartition              = ast.AlterTableDropPartition
	AlterTableTruncatePartition          = ast.AlterTableTruncatePartition
	AlterTablePartition                  = ast.AlterTablePartition
	AlterTableEnableKeys                 = ast.AlterTableEnableKeys
	AlterTableDisableKeys                = ast.AlterTableDisableKeys
	AlterTableRemovePartitioning         = ast.AlterTableRemovePartitioning
	AlterTableWithValidation             = ast.AlterTableWithValidation
	AlterTableWithoutValidation          = ast.AlterTableWithoutValidation
	AlterTableSecondaryLoad              = ast.AlterTableSecondaryLoad
	AlterTableSecondaryUnload            = ast.AlterTableSecondaryUnload
	AlterTableRebuildPartition           = ast.AlterTableRebuildPartition
	AlterTableReorganizePartition        = ast.AlterTableReorganizePartition
	AlterTableCheckPartitions            = ast.AlterTableCheckPartitions
	AlterTableExchangePartition          = ast.AlterTableExchangePartition
	AlterTableOptimizePartition          = ast.AlterTableOptimizePartition
	AlterTableRepairPartition            = ast.AlterTableRepairPartition
	AlterTableDiscardPartitionTablespace = ast.AlterTableDiscardPartitionTablespace
	AlterTableAlterCheck                 = ast.AlterTableAlterCheck
	AlterTableDropCheck                  = ast.AlterTableDropCheck
	AlterTableDiscardTablespace          = ast.AlterTableDiscardTablespace
	AlterTableIndexInvisible             = ast.AlterTableIndexInvisible
	AlterTableOrderByColumns             = ast.AlterTableOrderByColumns
)

// The values that start with LockTypeNone.
const (
	LockTypeNone      = ast.LockTypeNone
	LockTypeDefault   = ast.LockTypeDefault
	LockTypeShared    = ast.LockTypeShared
	LockTypeExclusive = ast.LockTypeExclusive
)

// The values that start with AlgorithmTypeDefault.
const (
	AlgorithmTypeDefault = ast.AlgorithmTypeDefault
	AlgorithmTypeCopy    = ast.AlgorithmTypeCopy
	AlgorithmTypeInplace = ast.AlgorithmTypeInplace
	AlgorithmTypeInstant = ast.AlgorithmTypeInstant
)

// The values that start with ReadCommitted.
const (
	ReadCommitted   = ast.ReadCommitted
	ReadUncommitted = ast.ReadUncommitted
	Serializable    = ast.Serializable
	RepeatableRead  = ast.RepeatableRead
)

// The values that start with Optimistic.
const (
	Optimistic  = ast.Optimistic
	Pessimistic = ast.Pessimistic
)

// The values that start with CompletionTypeDefault.
const (
	CompletionTypeDefault = ast.CompletionTypeDefault
	CompletionTypeChain   = ast.CompletionTypeChain
	CompletionTypeRelease = ast.CompletionTypeRelease
)

// The values that start with SetNames.
const (
	SetNames   = ast.SetNames
	SetCharset = ast.SetCharset
)

// The values that start with FlushNone.
const (
	FlushNone                = ast.FlushNone
	FlushTables              = ast.FlushTables
	FlushPrivileges          = ast.FlushPrivileges
	FlushStatus              = ast.FlushStatus
	FlushHosts               = ast.FlushHosts
	FlushLogs                = ast.FlushLogs
	FlushClientErrorsSummary = ast.FlushClientErrorsSummary
)

// The values that start with LogTypeDefault.
const (
	LogTypeDefault = ast.LogTypeDefault
	LogTypeBinary  = ast.LogTypeBinary
	LogTypeEngine  = ast.LogTypeEngine
	LogTypeError   = ast.LogTypeError
	LogTypeGeneral = ast.LogTypeGeneral
	LogTypeSlow    = ast.LogTypeSlow
)

// The values that start with SetRoleDefault.
const (
	SetRoleDefault   = ast.SetRoleDefault
	SetRoleNone      = ast.SetRoleNone
	SetRoleAll       = ast.SetRoleAll
	SetRoleAllExcept = ast.SetRoleAllExcept
	SetRoleRegular   = ast.SetRoleRegular
)

// The values that start with TlsNone.
const (
	TlsNone = ast.TlsNone
	Ssl     = ast.Ssl
	X509    = ast.X509
	Cipher  = ast.Cipher
	Issuer  = ast.Issuer
	Subject = ast.Subject
)

// The values that start with MaxQueriesPerHour.
const (
	MaxQueriesPerHour     = ast.MaxQueriesPerHour
	MaxUpdatesPerHour     = ast.MaxUpdatesPerHour
	MaxConnectionsPerHour = ast.MaxConnectionsPerHour
	MaxUserConnections    = ast.MaxUserConnections
)

// The values that start with PasswordExpire.
const (
	PasswordExpire                = ast.PasswordExpire
	PasswordExpireDefault         = ast.PasswordExpireDefault
	PasswordExpireNever           = ast.PasswordExpireNever
	PasswordExpireInterval        = ast.PasswordExpireInterval
	PasswordHistory               = ast.PasswordHistory
	PasswordHistoryDefault        = ast.PasswordHistoryDefault
	PasswordReuseInterval         = ast.PasswordReuseInterval
	PasswordReuseDefault          = ast.PasswordReuseDefault
	Lock                          = ast.Lock
	Unlock                        = ast.Unlock
	FailedLoginAttempts           = ast.FailedLoginAttempts
	PasswordLockTime              = ast.PasswordLockTime
	PasswordLockTimeUnbounded     = ast.PasswordLockTimeUnbounded
	UserCommentType               = ast.UserCommentType
	UserAttributeType             = ast.UserAttributeType
	PasswordRequireCurrentDefault = ast.PasswordRequireCurrentDefault
)

// The values that start with AdminShowDDL.
const (
	AdminShowDDL                     = ast.AdminShowDDL
	AdminCheckTable                  = ast.AdminCheckTable
	AdminShowDDLJobs                 = ast.AdminShowDDLJobs
	AdminCancelDDLJobs               = ast.AdminCancelDDLJobs
	AdminPauseDDLJobs                = ast.AdminPauseDDLJobs
	AdminResumeDDLJobs               = ast.AdminResumeDDLJobs
	AdminCheckIndex                  = ast.AdminCheckIndex
	AdminRecoverIndex                = ast.AdminRecoverIndex
	AdminCleanupIndex                = ast.AdminCleanupIndex
	AdminCheckIndexRange             = ast.AdminCheckIndexRange
	AdminShowDDLJobQueries           = ast.AdminShowDDLJobQueries
	AdminShowDDLJobQueriesWithRange  = ast.AdminShowDDLJobQueriesWithRange
	AdminChecksumTable               = ast.AdminChecksumTable
	AdminShowNextRowID               = ast.AdminShowNextRowID
	AdminReloadExprPushdownBlacklist = ast.AdminReloadExprPushdownBlacklist
	AdminReloadOptRuleBlacklist      = ast.AdminReloadOptRuleBlacklist
	AdminPluginDisable               = ast.AdminPluginDisable
	AdminPluginEnable                = ast.AdminPluginEnable
	AdminFlushPlanCache              = ast.AdminFlushPlanCache
	AdminAlterDDLJob                 = ast.AdminAlterDDLJob
)

// The values that start with StatementScopeNone.
const (
	StatementScopeNone     = ast.StatementScopeNone
	StatementScopeSession  = ast.StatementScopeSession
	StatementScopeInstance = ast.StatementScopeInstance
	StatementScopeGlobal   = ast.StatementScopeGlobal
)

// The values that start with ObjectTypeNone.
const (
	ObjectTypeNone     = ast.ObjectTypeNone
	ObjectTypeTable    = ast.ObjectTypeTable
	ObjectTypeFunction = ast.ObjectTypeFunction
)

// The values that start with GrantLevelNone.
const (
	GrantLevelNone   = ast.GrantLevelNone
	GrantLevelGlobal = ast.GrantLevelGlobal
	GrantLevelDB     = ast.GrantLevelDB
	GrantLevelTable  = ast.GrantLevelTable
)

// The values that start with TableLockNone.
const (
	TableLockNone       = ast.TableLockNone
	TableLockRead       = ast.TableLockRead
	TableLockReadLocal  = ast.TableLockReadLocal
	TableLockReadOnly   = ast.TableLockReadOnly
	TableLockWrite      = ast.TableLockWrite
	TableLockWriteLocal = ast.TableLockWriteLocal
)

// The values that start with AlgorithmUndefined.
const (
	AlgorithmUndefined = ast.AlgorithmUndefined
	AlgorithmMerge     = ast.AlgorithmMerge
	AlgorithmTemptable = ast.AlgorithmTemptable
)

// The values that start with SecurityDefiner.
const (
	SecurityDefiner = ast.SecurityDefiner
	SecurityInvoker = ast.SecurityInvoker
)

// The values that start with CheckOptionLocal.
const (
	CheckOptionLocal    = ast.CheckOptionLocal
	CheckOptionCascaded = ast.CheckOptionCascaded
)

// The values that start with PartitionTypeNone.
const (
	PartitionTypeNone       = ast.PartitionTypeNone
	PartitionTypeRange      = ast.PartitionTypeRange
	PartitionTypeHash       = ast.PartitionTypeHash
	PartitionTypeList       = ast.PartitionTypeList
	PartitionTypeKey        = ast.PartitionTypeKey
	PartitionTypeSystemTime = ast.PartitionTypeSystemTime
)

// The values that start with PrimaryKeyTypeDefault.
const (
	PrimaryKeyTypeDefault      = ast.PrimaryKeyTypeDefault
	PrimaryKeyTypeClustered    = ast.PrimaryKeyTypeClustered
	PrimaryKeyTypeNonClustered = ast.PrimaryKeyTypeNonClustered
)

// The values that start with IndexTypeInvalid.
const (
	IndexTypeInvalid  = ast.IndexTypeInvalid
	IndexTypeBtree    = ast.IndexTypeBtree
	IndexTypeHash     = ast.IndexTypeHash
	IndexTypeRtree    = ast.IndexTypeRtree
	IndexTypeFulltext = ast.IndexTypeFulltext
)

// The values that start with ReferOptionNoOption.
const (
	ReferOptionNoOption   = ast.ReferOptionNoOption
	ReferOptionRestrict   = ast.ReferOptionRestrict
	ReferOptionCascade    = ast.ReferOptionCascade
	ReferOptionSetNull    = ast.ReferOptionSetNull
	ReferOptionNoAction   = ast.ReferOptionNoAction
	ReferOptionSetDefault = ast.ReferOptionSetDefault
)

// The values that start with DefaultChoice.
const (
	DefaultChoice    = ast.DefaultChoice
	AllColumns       = ast.AllColumns
	PredicateColumns = ast.PredicateColumns
	ColumnList       = ast.ColumnList
)

// The values that start with AnalyzeOptNumBuckets.
const (
	AnalyzeOptNumBuckets    = ast.AnalyzeOptNumBuckets
	AnalyzeOptNumTopN       = ast.AnalyzeOptNumTopN
	AnalyzeOptCMSketchDepth = ast.AnalyzeOptCMSketchDepth
	AnalyzeOptCMSketchWidth = ast.AnalyzeOptCMSketchWidth
	AnalyzeOptNumSamples    = ast.AnalyzeOptNumSamples
	AnalyzeOptSampleRate    = ast.AnalyzeOptSampleRate
	AnalyzeOptNDVRate       = ast.AnalyzeOptNDVRate
)
