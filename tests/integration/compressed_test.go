package integration

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xaproxy/xaproxy/tests/servers"
)

// TestCompressedClients lets real clients compress, through the whole proxy, with results that are worth it.
func TestCompressedClients(t *testing.T) {
	t.Parallel()
	s := newStack(t, mixes["mixed"], nil)
	s.conn().exec("INSERT INTO single (v, t) VALUES (1, REPEAT('compress me ', 5000)), (2, REPEAT('and me ', 5000))")
	cache, err := servers.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	host, port, _ := strings.Cut(s.addr, ":")
	mysql := filepath.Join(cache, "mysql-9.7", "bin", "mysql")
	for name, client := range map[string][]string{
		"mysql, zlib": {mysql, "--compression-algorithms=zlib", "--get-server-public-key"},
		"mysql, zstd": {mysql, "--compression-algorithms=zstd", "--get-server-public-key"},
		"mariadb":     {"mariadb", "--compress", "--skip-ssl"},
	} {
		t.Run(name, func(t *testing.T) {
			args := append(client[1:], "-h", host, "-P", port, "-u", "u", "-ppw", "-N", "-B", s.schema, "-e",
				"SHOW STATUS LIKE 'Compression'; BEGIN; UPDATE accounts SET v = 0 WHERE id IN (1, 2); COMMIT; SELECT t FROM single ORDER BY v")
			out, err := exec.Command(client[0], args...).Output()
			if err != nil {
				t.Fatalf("%v\n%s", err, err.(*exec.ExitError).Stderr)
			}
			want := strings.Repeat("compress me ", 5000) + "\n" + strings.Repeat("and me ", 5000) + "\n"
			if !strings.HasSuffix(string(out), want) {
				t.Errorf("%d bytes came back", len(out))
			}
		})
	}
	s.nothingPrepared()
}
