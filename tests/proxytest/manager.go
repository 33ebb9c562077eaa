package proxytest

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Manager does for a Proxy what systemd does for a service with a socket unit and Type=notify.
type Manager struct {
	socket *os.File      // for clients; it stays open
	told   *net.UnixConn // what the program has to say comes here
	path   string        // of told
}

// NewManager returns a manager with its files in dir, whose path must be short.
func NewManager(dir string) (*Manager, error) {
	path := filepath.Join(dir, "notify")
	told, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	return &Manager{told: told, path: path}, nil
}

// listen opens the socket for clients.
func (m *Manager) listen(port int) error {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		return err
	}
	m.socket, err = l.File()
	return errors.Join(err, l.Close())
}

// hand makes the command one that is handed the sockets. LISTEN_PID is the process's own id, which only itself knows beforehand.
func (m *Manager) hand(cmd *exec.Cmd) {
	shell := exec.Command("sh", append([]string{"-c", `LISTEN_PID=$$ exec "$@"`, "sh"}, cmd.Args...)...)
	cmd.Path, cmd.Args, cmd.Err = shell.Path, shell.Args, shell.Err
	cmd.ExtraFiles = []*os.File{m.socket}
	cmd.Env = append(os.Environ(), "LISTEN_FDS=1", "NOTIFY_SOCKET="+m.path)
}

// Told returns the next thing that the program has to say.
func (m *Manager) Told(within time.Duration) (string, error) {
	if err := m.told.SetReadDeadline(time.Now().Add(within)); err != nil {
		return "", err
	}
	buf := make([]byte, 4096)
	n, err := m.told.Read(buf)
	return string(buf[:n]), err
}

// Close closes the sockets.
func (m *Manager) Close() error {
	err := m.told.Close()
	if m.socket != nil {
		err = errors.Join(err, m.socket.Close())
	}
	return err
}
