package wire

// Capability is the set of protocol features that the two ends agreed on in the handshake. Bits 32 and up are MariaDB's
// extended capabilities, which this package neither offers nor asks for.
//
// Source: MySQL page_protocol_basic_capabilities ("group__group__cs__capabilities__flags"), MariaDB KB "Connection",
// section Capabilities.
type Capability uint64

// Capability flags, under the names of the MySQL documentation less the prefix CLIENT_.
const (
	LongPassword               Capability = 1 << iota // MySQL ends; unset in a greeting it means "MariaDB, look for extended capabilities"
	FoundRows                                         // affected rows count matched rows, not changed ones; only settable in the handshake
	LongFlag                                          // two-byte column flags
	ConnectWithDB                                     // the login names a schema
	NoSchema                                          // obsolete
	Compress                                          // compressed protocol, zlib
	ODBC                                              // no effect since 3.22
	LocalFiles                                        // the client serves LOAD DATA LOCAL
	IgnoreSpace                                       // the parser ignores spaces before "("
	Protocol41                                        // the 4.1 protocol; required
	Interactive                                       // interactive_timeout instead of wait_timeout
	SSL                                               // TLS is offered, or asked for with an SSLRequest
	IgnoreSigpipe                                     // client-side only
	Transactions                                      // status flags in OK and EOF
	Reserved                                          // obsolete
	SecureConnection                                  // 20-byte scrambles
	MultiStatements                                   // several statements in one COM_QUERY
	MultiResults                                      // several results to one COM_QUERY
	PSMultiResults                                    // several results to one COM_STMT_EXECUTE
	PluginAuth                                        // authentication plugins by name
	ConnectAttrs                                      // connection attributes in the login
	PluginAuthLenencClientData                        // auth data longer than 255 bytes in the login
	CanHandleExpiredPasswords                         // sandbox mode instead of a refused login
	SessionTrack                                      // session state changes in OK
	DeprecateEOF                                      // OK packets with header 0xFE instead of EOF packets
	OptionalResultsetMetadata                         // result sets without column definitions
	ZstdCompression                                   // compressed protocol, zstd
	QueryAttributes                                   // attributes before the text of COM_QUERY
	MultiFactorAuthentication                         // more than one factor
	CapabilityExtension                               // reserved by MySQL
	SSLVerifyServerCert                               // client-side only
	RememberOptions                                   // client-side only
)

// Has reports whether all of flags are set.
func (c Capability) Has(flags Capability) bool { return c&flags == flags }

// Status is the server status in OK and EOF packets.
//
// Source: MySQL "SERVER_STATUS_flags_enum", MariaDB KB "OK_Packet", section Server Status Flag.
type Status uint16

// Status flags, under the names of the MySQL documentation less the prefix SERVER_ or SERVER_STATUS_.
const (
	StatusInTrans             Status = 1 << 0
	StatusAutocommit          Status = 1 << 1
	StatusMoreResults         Status = 1 << 3 // another result of the same command follows
	StatusNoGoodIndexUsed     Status = 1 << 4
	StatusNoIndexUsed         Status = 1 << 5
	StatusAnsiQuotes          Status = 1 << 15 // of MariaDB
	StatusCursorExists        Status = 1 << 6  // rows are fetched with COM_STMT_FETCH: none follow here
	StatusLastRowSent         Status = 1 << 7
	StatusDBDropped           Status = 1 << 8
	StatusNoBackslashEscapes  Status = 1 << 9
	StatusMetadataChanged     Status = 1 << 10
	StatusQueryWasSlow        Status = 1 << 11
	StatusPSOutParams         Status = 1 << 12 // the result set holds the OUT parameters of a CALL; MySQL says so in its first EOF only
	StatusInTransReadonly     Status = 1 << 13
	StatusSessionStateChanged Status = 1 << 14 // the OK packet carries session state
)
