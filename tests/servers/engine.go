package servers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
)

// engine is what differs between the kinds of servers.
type engine interface {
	// find returns the version and the path of the server's program.
	find() (version, path string, err error)
	// family names the template of this engine: kinds of one family start from the same data directory.
	family() string
	// recipe is the whole of what initialise does, as text: a template made by another recipe is not used.
	recipe() string
	// initialise makes a data directory with the accounts in it. The folder work is empty and its own; the result is in
	// work/data.
	initialise(ctx context.Context, path, work string) error
	// own gives the folders to the user that the server runs as.
	own(dirs ...string) error
	// socket returns Server.Socket for a server that has its socket in dir.
	socket(dir string) string
	// command boots the server.
	command(s *Server) (*exec.Cmd, error)
	// answers returns nil when this very server, not another on its port, executes statements.
	answers(ctx context.Context, s *Server) error
	// shutdownSignal asks for a clean shutdown that does not wait for clients.
	shutdownSignal() os.Signal
	// prepared lists the prepared branches, unordered.
	prepared(ctx context.Context, s *Server) ([]string, error)
}

func engineOf(k Kind) (engine, error) {
	switch k {
	case MariaDB:
		return mariadb{}, nil
	case MariaDBBinlog:
		return mariadb{binlog: true}, nil
	case MySQL:
		return mysql{}, nil
	case Postgres:
		return postgres{}, nil
	}
	return nil, fmt.Errorf("unknown kind of server %q", k)
}

// run executes a command of an initialisation; an error carries its output.
func run(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd.Path, err, out)
	}
	return nil
}
