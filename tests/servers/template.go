package servers

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// copyTemplate makes a data directory at the path data, which does not exist yet. Initialising takes a server seconds,
// so the result is kept in the cache folder, under a name that changes with everything that it depends on, and copied.
func copyTemplate(ctx context.Context, e engine, version, path, data string) error {
	cache, err := CacheDir()
	if err != nil {
		return err
	}
	digest := sha256.Sum256([]byte(e.recipe() + path)) // builds of one version may have other libraries, such as ICU
	name := fmt.Sprintf("%s-%s-%x", e.family(), version, digest[:6])
	template := filepath.Join(cache, "templates", name)
	if _, err := os.Stat(template); errors.Is(err, os.ErrNotExist) {
		if err := makeTemplate(ctx, e, path, template); err != nil {
			return fmt.Errorf("initialise a data directory: %w", err)
		}
	} else if err != nil {
		return err
	}
	// CopyFS leaves a half-made folder on error, which must not pass for data later.
	if err := os.CopyFS(data, os.DirFS(template)); err != nil {
		return errors.Join(fmt.Errorf("copy %s: %w", template, err), os.RemoveAll(data))
	}
	return chmodAll(data, 0o700, 0o600)
}

// makeTemplate initialises a data directory and moves it to its place at once, so that nobody sees half of it. When two
// processes do it at the same time, the one that is later throws its own away.
func makeTemplate(ctx context.Context, e engine, path, template string) error {
	work, err := newTempDir()
	if err != nil {
		return err
	}
	if err := e.own(work.path); err != nil {
		return errors.Join(err, work.remove())
	}
	if err := e.initialise(ctx, path, work.path); err != nil {
		return errors.Join(err, work.remove())
	}
	return errors.Join(install(filepath.Join(work.path, "data"), template), work.remove())
}

// install copies a folder to a place that is perhaps on another disk, so that it appears there whole.
func install(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	half, err := os.MkdirTemp(filepath.Dir(to), "half-made-")
	if err != nil {
		return err
	}
	err = os.CopyFS(half, os.DirFS(from))
	if err == nil {
		err = os.Rename(half, to)
	}
	if err != nil {
		err = errors.Join(err, os.RemoveAll(half))
		if _, there := os.Stat(to); there == nil {
			return nil
		}
	}
	return err
}

// chmodAll sets the permissions of all folders and files under dir. Copying makes them 0777 and 0666 at the most;
// servers refuse keys and data that others can read.
func chmodAll(dir string, folder, file os.FileMode) error {
	return filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.Chmod(path, folder)
		}
		return os.Chmod(path, file)
	})
}
