// Package metric counts what happens on the data path, at the cost of an addition, for somebody to read now and then. Counting never allocates,
// waits or takes a lock; who counts keeps its counters apart from those of others, so that they share no cache line, and adds them up when
// they are read.
package metric
