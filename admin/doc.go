// Package admin serves what monitoring and administrators see of a running proxy, over HTTP: /healthz, /readyz, /metrics, tables, and a dashboard with
// what can be done there.
//
// It knows nothing of statements, transactions and connections. What it shows it asks of a Source, at the moment at which somebody wants to
// know; whoever runs the proxy is that source. Nothing here is called by the data path.
//
// Nobody may keep it from answering others: a conversation has deadlines in both directions, and there are at most maxConns of them.
package admin
