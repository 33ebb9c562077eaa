package trace

import (
	"strings"
	"testing"
)

func TestParentOf(t *testing.T) {
	const id = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for sql, want := range map[string]string{
		"SELECT 1":                              "",
		"SELECT 1 /*traceparent='" + id + "'*/": id,
		"SELECT 1 /* action='%2Fa', traceparent='" + id + "',tracestate='a%3Db' */ ;\n": id,
		"SELECT '" + strings.Repeat("x", 5000) + "' /*traceparent='" + id + "'*/":       id,
		"SELECT 1 /*traceparent='" + id[:52] + "-00'*/":                                 id[:52] + "-00",
		"SELECT 1 /*traceparent='01" + id[2:] + "-more'*/":                              id,
		"SELECT 1 /*traceparent='" + id + "-more'*/":                                    "",
		"SELECT 1 /*traceparent='ff" + id[2:] + "'*/":                                   "",
		"SELECT 1 /*traceparent='" + strings.ToUpper(id) + "'*/":                        "",
		"SELECT 1 /*traceparent='" + id[:54] + "'*/":                                    "",
		"SELECT 1 /*traceparent='00-" + strings.Repeat("0", 32) + id[35:] + "'*/":       "",
		"SELECT 1 /*traceparent='" + id + "*/":                                          "",
		"/*traceparent='" + id + "'*/ SELECT 1":                                         "",
		"SELECT '/*traceparent=''" + id + "'' */'":                                      "",
		"*/": "",
		"":   "",
	} {
		p := ParentOf([]byte(sql))
		got := ""
		if p.known() {
			got = "00-" + p.of.TraceID().String() + "-" + p.of.SpanID().String() + "-" + p.of.TraceFlags().String()
		}
		if got != want {
			t.Errorf("%.120q: %q, want %q", sql, got, want)
		}
	}
}
