// Command pgdrivers measures what it costs to read rows from PostgreSQL as backend/postgres needs them, one at a time and not kept, with
// lib/pq, with pgx's pgconn, and from the messages themselves on lib/pq's connection. It is a module of its own, so that pgx is none of
// xaproxy's.
//
//	cd tests/bench/pgdrivers && go run .
//
// Rounds are interleaved. CPU time is that of this process, which does nothing else.
package main

import (
	"context"
	"database/sql/driver"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/lib/pq"
	"golang.org/x/sys/unix"

	"github.com/xaproxy/xaproxy/tests/servers"
)

// reader runs statements and reads all rows of their answers. It returns how many bytes the values have.
type reader interface {
	read(sql string) (rows, size int, err error)
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "pgdrivers:", err)
		os.Exit(1)
	}
}

func run() (err error) {
	n := flag.Int("rows", 1_000_000, "rows of the large result")
	points := flag.Int("points", 5000, "point selects of a round")
	rounds := flag.Int("rounds", 7, "rounds over all ways")
	flag.Parse()
	ctx := context.Background()
	s, err := servers.Start(ctx, servers.Options{Kind: servers.Postgres})
	if err != nil {
		return err
	}
	defer s.Stop()
	if _, err := s.PSQL(ctx, fmt.Sprintf("CREATE TABLE big AS SELECT i AS id, 7000000000 + i AS k, (i %% 10000 + 0.25)::numeric(10,2) AS amount, "+
		"'2026-01-02 03:04:05'::timestamp(0) + i * interval '1 s' AS at, 'the rows are alike on both servers, of some fifty bytes'::varchar(60) AS c "+
		"FROM generate_series(1, %d) i; ALTER TABLE big ADD PRIMARY KEY (id); VACUUM ANALYZE big;", *n)); err != nil {
		return err
	}
	ways := []struct {
		name string
		open func(context.Context, *servers.Server) (reader, error)
	}{{"lib/pq", openPQ}, {"pgx's pgconn", openPGX}, {"messages on lib/pq's connection", openMessages}}
	readers := make([]reader, len(ways))
	for i, w := range ways {
		if readers[i], err = w.open(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
	}
	for _, load := range []struct {
		name, unit string
		run        func(reader) (float64, error)
	}{
		{fmt.Sprintf("SELECT of %d rows", *n), "row", func(r reader) (float64, error) {
			rows, _, err := r.read("SELECT id, k, amount, at, c FROM big")
			if err == nil && rows != *n {
				err = fmt.Errorf("%d rows", rows)
			}
			return float64(rows), err
		}},
		{"point select", "statement", func(r reader) (float64, error) {
			for i := range *points {
				rows, _, err := r.read("SELECT c FROM big WHERE id = " + strconv.Itoa(1+i*7919%*n))
				if err != nil || rows != 1 {
					return 0, fmt.Errorf("%d rows, %w", rows, err)
				}
			}
			return float64(*points), nil
		}},
	} {
		rate, cpu, mallocs := make([][]float64, len(ways)), make([][]float64, len(ways)), make([][]float64, len(ways))
		for round := range *rounds + 1 {
			for j := range ways {
				i := (round + j) % len(ways)
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				spent, began := cpuTime(), time.Now()
				count, err := load.run(readers[i])
				if err != nil {
					return fmt.Errorf("%s: %w", ways[i].name, err)
				}
				took, now := time.Since(began), cpuTime()
				runtime.ReadMemStats(&after)
				if round > 0 { // the first one warms up
					rate[i] = append(rate[i], count/took.Seconds())
					cpu[i] = append(cpu[i], float64((now-spent).Nanoseconds())/1000/count)
					mallocs[i] = append(mallocs[i], float64(after.Mallocs-before.Mallocs)/count)
				}
			}
		}
		fmt.Printf("\n| %s | %ss/s | CPU µs/%s | of lib/pq's | allocations/%s |\n|---|---:|---:|---:|---:|\n", load.name, load.unit, load.unit, load.unit)
		for i, w := range ways {
			var of []float64
			for round := range cpu[i] {
				of = append(of, cpu[i][round]/cpu[0][round])
			}
			fmt.Printf("| %s | %.0f | %.2f | %.2f (%.2f–%.2f) | %.1f |\n", w.name, median(rate[i]), median(cpu[i]), median(of), slices.Min(of), slices.Max(of), median(mallocs[i]))
		}
	}
	return nil
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

func cpuTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t); err != nil {
		panic(err) // Linux has that clock
	}
	return time.Duration(t.Nano())
}

// byPQ is lib/pq below database/sql.
type byPQ struct{ conn driver.QueryerContext }

func connectPQ(ctx context.Context, s *servers.Server, d pq.Dialer) (driver.Conn, error) {
	c, err := pq.NewConnectorConfig(pq.Config{
		Host: s.Host, Port: uint16(s.Port), User: s.User, Password: s.Password, Database: "postgres", SSLMode: pq.SSLModeDisable,
	})
	if err != nil {
		return nil, err
	}
	if d != nil {
		c.Dialer(d)
	}
	return c.Connect(ctx)
}

func openPQ(ctx context.Context, s *servers.Server) (reader, error) {
	conn, err := connectPQ(ctx, s, nil)
	if err != nil {
		return nil, err
	}
	return byPQ{conn.(driver.QueryerContext)}, nil
}

func (b byPQ) read(sql string) (n, size int, err error) {
	rows, err := b.conn.QueryContext(context.Background(), sql, nil)
	if err != nil {
		return 0, 0, err
	}
	values := make([]driver.Value, len(rows.Columns()))
	for {
		if err := rows.Next(values); err == io.EOF {
			return n, size, rows.Close()
		} else if err != nil {
			return n, size, err
		}
		n++
		for _, v := range values {
			switch v := v.(type) {
			case []byte:
				size += len(v)
			case string:
				size += len(v)
			default:
				size += 8
			}
		}
	}
}

// byPGX is pgx's connection below everything that decodes.
type byPGX struct{ conn *pgconn.PgConn }

func openPGX(ctx context.Context, s *servers.Server) (reader, error) {
	conn, err := pgconn.Connect(ctx, fmt.Sprintf("host=%s port=%d user=%s password=%s dbname=postgres sslmode=disable", s.Host, s.Port, s.User, s.Password))
	return byPGX{conn}, err
}

func (b byPGX) read(sql string) (n, size int, err error) {
	answers := b.conn.Exec(context.Background(), sql)
	for answers.NextResult() {
		rows := answers.ResultReader()
		for rows.NextRow() {
			n++
			for _, v := range rows.Values() {
				size += len(v)
			}
		}
	}
	return n, size, answers.Close()
}

// byMessages lets lib/pq log in, and reads and writes the messages itself.
type byMessages struct {
	socket net.Conn
	in     *messages
	out    []byte
}

// keeping is the dialer that remembers the socket.
type keeping struct{ socket net.Conn }

func (k *keeping) Dial(network, address string) (net.Conn, error) {
	return k.DialTimeout(network, address, time.Minute)
}

func (k *keeping) DialTimeout(network, address string, timeout time.Duration) (conn net.Conn, err error) {
	k.socket, err = net.DialTimeout(network, address, timeout)
	return k.socket, err
}

func openMessages(ctx context.Context, s *servers.Server) (reader, error) {
	k := &keeping{}
	if _, err := connectPQ(ctx, s, k); err != nil {
		return nil, err
	}
	return &byMessages{socket: k.socket, in: newMessages(k.socket)}, nil
}

func (b *byMessages) read(sql string) (n, size int, err error) {
	b.out = appendQuery(b.out[:0], sql)
	if _, err := b.socket.Write(b.out); err != nil {
		return 0, 0, err
	}
	for {
		kind, body, err := b.in.next()
		switch {
		case err != nil:
			return n, size, err
		case kind == 'E':
			return n, size, fmt.Errorf("%q", body)
		case kind == 'D':
			n++
			for body = body[2:]; len(body) > 0; {
				length := int(int32(uint32(body[0])<<24 | uint32(body[1])<<16 | uint32(body[2])<<8 | uint32(body[3])))
				body = body[4:]
				if length > 0 {
					size += length
					body = body[length:]
				}
			}
		case kind == 'Z':
			return n, size, nil
		}
	}
}
