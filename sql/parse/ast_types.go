package parse

import (
	"github.com/pingcap/tidb/pkg/parser/auth"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/parser/opcode"
	"github.com/pingcap/tidb/pkg/parser/types"
)

// What nodes are made of, beyond other nodes.
type (
	Op            = opcode.Op
	FieldType     = types.FieldType
	EvalType      = types.EvalType
	UserIdentity  = auth.UserIdentity
	RoleIdentity  = auth.RoleIdentity
	PrivilegeType = mysql.PrivilegeType
	PriorityEnum  = mysql.PriorityEnum
)

// The operators of BinaryOperationExpr and UnaryOperationExpr.
const (
	OpLogicAnd   = opcode.LogicAnd
	OpLeftShift  = opcode.LeftShift
	OpRightShift = opcode.RightShift
	OpLogicOr    = opcode.LogicOr
	OpGE         = opcode.GE
	OpLE         = opcode.LE
	OpEQ         = opcode.EQ
	OpNE         = opcode.NE
	OpLT         = opcode.LT
	OpGT         = opcode.GT
	OpPlus       = opcode.Plus
	OpMinus      = opcode.Minus
	OpAnd        = opcode.And
	OpOr         = opcode.Or
	OpMod        = opcode.Mod
	OpXor        = opcode.Xor
	OpDiv        = opcode.Div
	OpMul        = opcode.Mul
	OpNot        = opcode.Not
	OpNot2       = opcode.Not2
	OpBitNeg     = opcode.BitNeg
	OpIntDiv     = opcode.IntDiv
	OpLogicXor   = opcode.LogicXor
	OpNullEQ     = opcode.NullEQ
	OpIn         = opcode.In
	OpLike       = opcode.Like
	OpCase       = opcode.Case
	OpRegexp     = opcode.Regexp
	OpIsNull     = opcode.IsNull
	OpIsTruth    = opcode.IsTruth
	OpIsFalsity  = opcode.IsFalsity
)

// The types of FieldType.GetType.
const (
	TypeUnspecified = mysql.TypeUnspecified
	TypeTiny        = mysql.TypeTiny
	TypeShort       = mysql.TypeShort
	TypeLong        = mysql.TypeLong
	TypeFloat       = mysql.TypeFloat
	TypeDouble      = mysql.TypeDouble
	TypeNull        = mysql.TypeNull
	TypeTimestamp   = mysql.TypeTimestamp
	TypeLonglong    = mysql.TypeLonglong
	TypeInt24       = mysql.TypeInt24
	TypeDate        = mysql.TypeDate
	TypeDuration    = mysql.TypeDuration
	TypeDatetime    = mysql.TypeDatetime
	TypeYear        = mysql.TypeYear
	TypeNewDate     = mysql.TypeNewDate
	TypeVarchar     = mysql.TypeVarchar
	TypeBit         = mysql.TypeBit
	TypeJSON        = mysql.TypeJSON
	TypeNewDecimal  = mysql.TypeNewDecimal
	TypeEnum        = mysql.TypeEnum
	TypeSet         = mysql.TypeSet
	TypeTinyBlob    = mysql.TypeTinyBlob
	TypeMediumBlob  = mysql.TypeMediumBlob
	TypeLongBlob    = mysql.TypeLongBlob
	TypeBlob        = mysql.TypeBlob
	TypeVarString   = mysql.TypeVarString
	TypeString      = mysql.TypeString
	TypeGeometry    = mysql.TypeGeometry
)

// The flags of FieldType.GetFlag.
const (
	NotNullFlag           = mysql.NotNullFlag
	PriKeyFlag            = mysql.PriKeyFlag
	UniqueKeyFlag         = mysql.UniqueKeyFlag
	MultipleKeyFlag       = mysql.MultipleKeyFlag
	BlobFlag              = mysql.BlobFlag
	UnsignedFlag          = mysql.UnsignedFlag
	ZerofillFlag          = mysql.ZerofillFlag
	BinaryFlag            = mysql.BinaryFlag
	EnumFlag              = mysql.EnumFlag
	AutoIncrementFlag     = mysql.AutoIncrementFlag
	TimestampFlag         = mysql.TimestampFlag
	SetFlag               = mysql.SetFlag
	NoDefaultValueFlag    = mysql.NoDefaultValueFlag
	OnUpdateNowFlag       = mysql.OnUpdateNowFlag
	PartKeyFlag           = mysql.PartKeyFlag
	NumFlag               = mysql.NumFlag
	IsBooleanFlag         = mysql.IsBooleanFlag
	UnderScoreCharsetFlag = mysql.UnderScoreCharsetFlag
)

// The classes of FieldType.EvalType.
const (
	ETInt           = types.ETInt
	ETReal          = types.ETReal
	ETDecimal       = types.ETDecimal
	ETString        = types.ETString
	ETDatetime      = types.ETDatetime
	ETTimestamp     = types.ETTimestamp
	ETDuration      = types.ETDuration
	ETJson          = types.ETJson
	ETVectorFloat32 = types.ETVectorFloat32
)

// The privileges of GRANT and REVOKE.
const (
	UsagePriv             = mysql.UsagePriv
	CreatePriv            = mysql.CreatePriv
	SelectPriv            = mysql.SelectPriv
	InsertPriv            = mysql.InsertPriv
	UpdatePriv            = mysql.UpdatePriv
	DeletePriv            = mysql.DeletePriv
	ShowDBPriv            = mysql.ShowDBPriv
	SuperPriv             = mysql.SuperPriv
	CreateUserPriv        = mysql.CreateUserPriv
	TriggerPriv           = mysql.TriggerPriv
	DropPriv              = mysql.DropPriv
	ProcessPriv           = mysql.ProcessPriv
	GrantPriv             = mysql.GrantPriv
	ReferencesPriv        = mysql.ReferencesPriv
	AlterPriv             = mysql.AlterPriv
	ExecutePriv           = mysql.ExecutePriv
	IndexPriv             = mysql.IndexPriv
	CreateViewPriv        = mysql.CreateViewPriv
	ShowViewPriv          = mysql.ShowViewPriv
	CreateRolePriv        = mysql.CreateRolePriv
	DropRolePriv          = mysql.DropRolePriv
	CreateTMPTablePriv    = mysql.CreateTMPTablePriv
	LockTablesPriv        = mysql.LockTablesPriv
	CreateRoutinePriv     = mysql.CreateRoutinePriv
	AlterRoutinePriv      = mysql.AlterRoutinePriv
	EventPriv             = mysql.EventPriv
	ShutdownPriv          = mysql.ShutdownPriv
	ReloadPriv            = mysql.ReloadPriv
	FilePriv              = mysql.FilePriv
	ConfigPriv            = mysql.ConfigPriv
	CreateTablespacePriv  = mysql.CreateTablespacePriv
	ReplicationClientPriv = mysql.ReplicationClientPriv
	ReplicationSlavePriv  = mysql.ReplicationSlavePriv
	AllPriv               = mysql.AllPriv
	ExtendedPriv          = mysql.ExtendedPriv
)

// The priorities of INSERT, UPDATE and DELETE.
const (
	NoPriority      = mysql.NoPriority
	LowPriority     = mysql.LowPriority
	HighPriority    = mysql.HighPriority
	DelayedPriority = mysql.DelayedPriority
)

// UnspecifiedLength is the length of a FieldType whose statement gave none.
const UnspecifiedLength = types.UnspecifiedLength
