package participant

import "slices"

// all returns the servers.
func (s *Store) all() []Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.servers
}

// server returns the one with this name, nil if there is none.
func (s *Store) server(name string) Server {
	for _, server := range s.all() {
		if server.Name() == name {
			return server
		}
	}
	return nil
}

// Add uses another server from now on, for which Run renews a heartbeat, too. It may decide on transactions when Beat has succeeded there.
func (s *Store) Add(server Server) {
	s.mu.Lock()
	s.servers = append(slices.Clip(s.servers), server)
	s.mu.Unlock()
	select {
	case s.poked <- struct{}{}:
	default: // Run is about to look
	}
}

// Remove ends the use of a server that decides on nothing any more. Its last heartbeat grows old.
func (s *Store) Remove(server Server) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.servers = slices.DeleteFunc(slices.Clone(s.servers), func(o Server) bool { return o == server })
}
