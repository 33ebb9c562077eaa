package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/xaproxy/xaproxy/config"
)

// certificates are what clients are shown and checked with: the files of [server], read again when they change. New
// connections use what was read last; a file that cannot be used leaves the former in force. Safe for concurrent use.
type certificates struct {
	c   config.Server
	log zerolog.Logger

	mu      sync.Mutex // protects following fields
	current *tls.Config
	read    time.Time // newest modification of the files that current was made of
	looked  time.Time
}

// reloadInterval is how often files are looked at, at most: when a client connects.
const reloadInterval = time.Second

// serverTLS returns how to encrypt connections of clients, or nil without a certificate.
func serverTLS(c config.Server, log zerolog.Logger) (*tls.Config, error) {
	if c.TLSCert == "" {
		return nil, nil
	}
	s := &certificates{c: c, log: log}
	if err := s.load(); err != nil {
		return nil, err
	}
	first := s.current.Clone()
	first.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.latest(time.Now()), nil }
	return first, nil
}

// latest returns the configuration for a client that connects now.
func (s *certificates) latest(now time.Time) *tls.Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.looked) < reloadInterval {
		return s.current
	}
	s.looked = now
	newest, err := s.modified()
	if err == nil && newest.Equal(s.read) {
		return s.current
	}
	if err == nil {
		err = s.load()
	}
	if err != nil {
		s.log.Error().Err(err).Msg("new TLS files cannot be used; the former stay in force")
	} else {
		s.log.Info().Str("tls_cert", s.c.TLSCert).Msg("TLS files read again")
	}
	return s.current
}

// load reads the files. s.mu is held, or nobody else has s yet.
func (s *certificates) load() error {
	newest, err := s.modified()
	if err != nil {
		return err
	}
	s.read = newest // also when they are of no use: they are not tried again until they change
	pair, err := tls.LoadX509KeyPair(s.c.TLSCert, s.c.TLSKey)
	if err != nil {
		return fmt.Errorf("server.tls_cert: %w", err)
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	if s.c.TLSClientCA != "" {
		pem, err := os.ReadFile(s.c.TLSClientCA)
		if err != nil {
			return fmt.Errorf("server.tls_client_ca: %w", err)
		}
		t.ClientCAs, t.ClientAuth = x509.NewCertPool(), tls.VerifyClientCertIfGiven
		if !t.ClientCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("server.tls_client_ca: %s holds no certificate in PEM form", s.c.TLSClientCA)
		}
		if s.c.TLSClientRequired {
			t.ClientAuth = tls.RequireAndVerifyClientCert
		}
	}
	s.current = t
	return nil
}

// modified returns when the newest of the files was changed.
func (s *certificates) modified() (newest time.Time, err error) {
	for _, file := range []string{s.c.TLSCert, s.c.TLSKey, s.c.TLSClientCA} {
		if file == "" {
			continue
		}
		info, statErr := os.Stat(file)
		if statErr != nil {
			err = errors.Join(err, statErr)
		} else if info.ModTime().After(newest) {
			newest = info.ModTime()
		}
	}
	return newest, err
}
