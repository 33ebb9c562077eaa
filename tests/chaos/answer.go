package chaos

// Bits and bytes of the protocol that a tap must know.
//
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response.html
const (
	comQuery           = 0x03
	clientDeprecateEOF = 1 << 24
	statusMoreResults  = 0x0008

	headerOK  = 0x00
	headerEOF = 0xFE
	headerErr = 0xFF
)

// answer finds the end of the answer to a COM_QUERY, which may have several results.
type answer struct {
	deprecateEOF bool
	state        answerState
	columns      uint64 // whose definitions are still to come
	failed       bool
}

type answerState uint8

const (
	atResult   answerState = iota // a result begins
	inColumns                     // column definitions
	afterThem                     // the EOF behind them
	inRows                        // rows
	unreadable                    // of a form that is not known here, such as LOCAL INFILE
)

// ends takes the next packet of the server and reports whether it is the last one of the answer.
func (a *answer) ends(p []byte) bool {
	if len(p) == 0 {
		return false
	}
	if p[0] == headerErr && (a.state == atResult || a.state == inRows) {
		a.failed = true
		return true
	}
	switch a.state {
	case atResult:
		switch p[0] {
		case headerOK:
			return a.resultEnds(okStatus(p))
		case 0xFB:
			a.state = unreadable
			return false
		}
		a.columns, _ = lenenc(p)
		a.state = inColumns
	case inColumns:
		if a.columns--; a.columns == 0 {
			a.state = afterThem
			if a.deprecateEOF {
				a.state = inRows
			}
		}
	case afterThem:
		a.state = inRows
	case inRows:
		switch {
		case p[0] == headerEOF && a.deprecateEOF && len(p) < 1<<24-1:
			return a.resultEnds(okStatus(p))
		case p[0] == headerEOF && !a.deprecateEOF && len(p) == 5:
			return a.resultEnds(uint16(p[3]) | uint16(p[4])<<8)
		}
	}
	return false
}

// resultEnds notes the end of a result and reports whether it was the last one.
func (a *answer) resultEnds(status uint16) bool {
	a.state = atResult
	return status&statusMoreResults == 0
}

// okStatus reads the status flags of an OK packet, which follow the counts of rows and the last insert id.
func okStatus(p []byte) uint16 {
	_, n := lenenc(p[1:])
	_, m := lenenc(p[1+n:])
	p = p[1+n+m:]
	if len(p) < 2 {
		return 0
	}
	return uint16(p[0]) | uint16(p[1])<<8
}

// lenenc reads a length-encoded integer and returns how many bytes it takes; 0 if it is cut off.
func lenenc(p []byte) (value uint64, size int) {
	if len(p) == 0 {
		return 0, 0
	}
	switch p[0] {
	case 0xFC:
		size = 3
	case 0xFD:
		size = 4
	case 0xFE:
		size = 9
	default:
		return uint64(p[0]), 1
	}
	if len(p) < size {
		return 0, 0
	}
	for i := size - 1; i > 0; i-- {
		value = value<<8 | uint64(p[i])
	}
	return value, size
}

// greetingCapabilities reads the capabilities of the server from its first packet.
//
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html
func greetingCapabilities(p []byte) uint32 {
	i := 1
	for i < len(p) && p[i] != 0 { // the version
		i++
	}
	i += 1 + 4 + 8 + 1 // its end, the connection id, half of the challenge, a filler
	if i+7 > len(p) {
		return 0
	}
	return uint32(p[i]) | uint32(p[i+1])<<8 | uint32(p[i+5])<<16 | uint32(p[i+6])<<24
}

func le32(p []byte) uint32 {
	return uint32(p[0]) | uint32(p[1])<<8 | uint32(p[2])<<16 | uint32(p[3])<<24
}
