package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/xaproxy/xaproxy/config"
)

// certificates are what those who connect are shown and checked with: the files of a section, read again when they change. New
// connections use what was read last; a file that cannot be used leaves the former in force. Safe for concurrent use.
type certificates struct {
	section string // of the configuration
	c       config.Server
	log     zerolog.Logger

	mu      sync.Mutex // protects following fields
	current *tls.Config
	read    []os.FileInfo // of the files when they were last read, or tried
	looked  time.Time
	fault   string // why they could not be read, as it was logged
}

// reloadInterval is how often files are looked at, at most: when a client connects.
const reloadInterval = time.Second

// serverTLS returns how to encrypt connections of clients, or nil without a certificate.
func serverTLS(c config.Server, log zerolog.Logger) (*tls.Config, error) {
	return listenerTLS("server", c, log)
}

// listenerTLS is serverTLS with the keys of a section that are named as those of [server].
func listenerTLS(section string, c config.Server, log zerolog.Logger) (*tls.Config, error) {
	if c.TLSCert == "" {
		return nil, nil
	}
	s := &certificates{section: section, c: c, log: log}
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
	files, err := s.look()
	switch {
	case err == nil && slices.EqualFunc(files, s.read, same):
		return s.current
	case err == nil:
		err = s.load()
	}
	switch {
	case err == nil:
		s.fault = ""
		s.log.Info().Str("tls_cert", s.c.TLSCert).Msg("TLS files read again")
	case err.Error() != s.fault:
		s.fault = err.Error()
		s.log.Error().Err(err).Msg("new TLS files cannot be used; the former stay in force")
	}
	return s.current
}

// same reports whether a file is the one that was there before, and unchanged. A file that replaces another may be older.
func same(a, b os.FileInfo) bool {
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// load reads the files. s.mu is held, or nobody else has s yet.
func (s *certificates) load() error {
	files, err := s.look()
	if err != nil {
		return err
	}
	s.read = files // also when they are of no use: they are not tried again until they change
	pair, err := tls.LoadX509KeyPair(s.c.TLSCert, s.c.TLSKey)
	if err != nil {
		return fmt.Errorf("%s.tls_cert: %w", s.section, err)
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	if s.c.TLSClientCA != "" {
		pem, err := os.ReadFile(s.c.TLSClientCA)
		if err != nil {
			return fmt.Errorf("%s.tls_client_ca: %w", s.section, err)
		}
		t.ClientCAs, t.ClientAuth = x509.NewCertPool(), tls.VerifyClientCertIfGiven
		if !t.ClientCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("%s.tls_client_ca: %s holds no certificate in PEM form", s.section, s.c.TLSClientCA)
		}
		if s.c.TLSClientRequired {
			t.ClientAuth = tls.RequireAndVerifyClientCert
		}
	}
	s.current = t
	return nil
}

// look returns what the files are now.
func (s *certificates) look() (files []os.FileInfo, err error) {
	for _, file := range []string{s.c.TLSCert, s.c.TLSKey, s.c.TLSClientCA} {
		if file == "" {
			continue
		}
		info, statErr := os.Stat(file)
		err = errors.Join(err, statErr)
		files = append(files, info)
	}
	return files, err
}
