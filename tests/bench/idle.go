//go:build linux

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/xaproxy/xaproxy/wire"
)

// idleKind is a kind of clients that log in, run a statement and then are silent. measure returns how many bytes of memory one
// of them costs the proxy, which is a fresh one that has served one client before.
type idleKind struct {
	name    string
	measure func(ctx context.Context, w *world, clients int) (float64, error)
}

var idleKinds = []idleKind{
	{"haproxy", idleHaproxy},
	{"xaproxy", idle(wire.Dialer{})},
	{"xaproxy, zlib", idle(wire.Dialer{Caps: wire.Compress})},
	{"xaproxy, zstd", idle(wire.Dialer{Caps: wire.ZstdCompression})},
	{"xaproxy, TLS", idle(wire.Dialer{TLS: &tls.Config{InsecureSkipVerify: true}})},
}

// dialers is how many clients connect at one time.
const dialers = 8

// idle measures clients of xaproxy.
func idle(d wire.Dialer) func(context.Context, *world, int) (float64, error) {
	return func(ctx context.Context, w *world, clients int) (each float64, err error) {
		cert, key, err := w.certificate()
		if err != nil {
			return 0, err
		}
		p, err := w.proxy(ctx, fmt.Sprintf("idle-%d", len(w.undo)), w.binary,
			fmt.Sprintf("max_connections = %d\ntls_cert = %q\ntls_key = %q", clients+1, cert, key))
		if err != nil {
			return 0, err
		}
		open := make([]io.Closer, clients+1)
		defer closeAll(open)
		return grown(p.pid, clients, func(i int) error {
			c, err := p.dial(ctx, d)
			if err != nil {
				return err
			}
			open[i] = c.conn
			return c.point()
		})
	}
}

// idleHaproxy measures clients of haproxy in front of a server that greets them with one byte.
func idleHaproxy(ctx context.Context, w *world, clients int) (each float64, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	accepted := make(chan []io.Closer, 1)
	go func() {
		var all []io.Closer
		for {
			c, err := listener.Accept()
			if err != nil { // closed below
				accepted <- all
				return
			}
			all = append(all, c)
			_, _ = c.Write([]byte{1}) // the client finds out
		}
	}()
	defer func() {
		err = errors.Join(err, listener.Close())
		closeAll(<-accepted)
	}()
	dir := filepath.Join(w.dir, "idle-haproxy")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return 0, err
	}
	h, err := startHaproxy(ctx, dir, clients+1, listener.Addr().String())
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, h.kill()) }()
	open := make([]io.Closer, clients+1)
	defer closeAll(open)
	return grown(h.pid(), clients, func(i int) error {
		c, err := net.Dial("tcp", h.addrs[0])
		if err != nil {
			return err
		}
		open[i] = c
		_, err = io.ReadFull(c, make([]byte, 1))
		return err
	})
}

// grown connects one client, then so many more, and returns what those have added to the process's memory, each.
func grown(pid, clients int, connect func(i int) error) (float64, error) {
	if err := connect(clients); err != nil {
		return 0, err
	}
	before, err := memory(pid, "VmRSS")
	if err != nil {
		return 0, err
	}
	errs := make([]error, dialers)
	var wg sync.WaitGroup
	for d := range dialers {
		wg.Go(func() {
			for i := d; i < clients && errs[d] == nil; i += dialers {
				errs[d] = connect(i)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return 0, err
	}
	after, err := memory(pid, "VmRSS")
	return float64(after-before) / float64(clients), err
}

func closeAll(open []io.Closer) {
	for _, c := range open {
		if c != nil {
			_ = c.Close() // both sides are about to end
		}
	}
}

// certificate writes a certificate for TLS and its key, for an hour.
func (w *world) certificate() (cert, key string, err error) {
	cert, key = filepath.Join(w.dir, "cert.pem"), filepath.Join(w.dir, "key.pem")
	if _, err := os.Stat(key); err == nil {
		return cert, key, nil
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &private.PublicKey, private)
	if err != nil {
		return "", "", err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", "", err
	}
	err = os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600)
	return cert, key, errors.Join(err, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
}
