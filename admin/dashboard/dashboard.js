import {Table, byId, clock, make, say, span} from "./dom.js";
import {traffic} from "./charts.js";
import {machine, topology} from "./drawings.js";
import {ask, login} from "./ask.js";
import {commands, pausing, resolving} from "./commands.js";

const interval = 1000; // milliseconds between two questions

const tables = {
	backends: new Table(byId("backends"), "Each backend, with its connections and what recovery has found there", [
		{head: "Backend", text: (b) => b.name},
		{head: "State", text: (b) => b.state + (b.reason ? `: ${b.reason}` : "")},
		{head: "Server", text: (b) => `${b.kind} ${b.version} at ${b.address}`},
		{head: "Connections", class: "number", text: (b) => `${b.pool.used} used, ${b.pool.idle} idle, of ${b.pool.size}`},
		{head: "Waiting", class: "number", text: (b) => String(b.pool.waiting)},
		{head: "Prepared", class: "number", text: (b) => String(b.prepared)},
		{head: "In doubt", class: "number", text: (b) => (b.in_doubt ? `${b.in_doubt}, for ${span(b.oldest_seconds)}` : "0")},
		{head: "Looked at", class: "number", text: (b) => (b.looked_seconds === null ? "not yet" : `${span(b.looked_seconds)} ago`)},
		{head: "New statements", node: pausing},
	], (b) => b.name, "There are none."),
	transactions: new Table(byId("transactions"), "The oldest transactions that have a branch on a backend", [
		{head: "Transaction", class: "code", text: (t) => t.gtrid},
		{head: "State", text: (t) => t.state + (t.answered ? ", answered" : "")},
		{head: "In it for", class: "number", text: (t) => span(t.state_seconds)},
		{head: "Age", class: "number", text: (t) => span(t.age_seconds)},
		{head: "Branches", text: (t) => t.backends},
		{head: "Session", class: "number", text: (t) => String(t.session || "")},
	], (t) => t.gtrid, "None is in flight."),
	branches: new Table(byId("branches"), "", [
		{head: "Transaction", class: "code", text: (b) => b.gtrid},
		{head: "Backend", text: (b) => b.backend},
		{head: "Prepared for", class: "number", text: (b) => span(b.age_seconds)},
		{head: "What will happen", text: (b) => `${b.verdict}: ${b.reason}`},
		{head: "By hand", node: resolving},
	], (b) => `${b.gtrid} ${b.backend} ${b.bqual}`, "None is in doubt."),
	slow: new Table(byId("slow"), "The newest first, with ? in place of each value", [
		{head: "At", class: "number", text: (s) => clock(s.at)},
		{head: "Took", class: "number", text: (s) => span(s.took_seconds)},
		{head: "Statement and plan", node: plan},
		{head: "Waited for", text: (s) => (s.queued_seconds > 0.001 ? `connections ${span(s.queued_seconds)}; ` : "") + s.backends},
		{head: "Rows", class: "number", text: (s) => (s.errno ? `error ${s.errno}` : String(s.row_count))},
		{head: "User", text: (s) => s.user},
		{head: "Transaction", class: "code", text: (s) => s.gtrid},
	], (s) => `${s.at} ${s.session} ${s.statement}`, "None so far took server.slow_statement or longer."),
	events: new Table(byId("events"), "The newest first, from level info on", [
		{head: "At", class: "number", text: (e) => clock(e.at)},
		{head: "Level", text: (e) => e.level},
		{head: "Message", text: (e) => e.message},
		{head: "Backend", text: (e) => e.backend},
		{head: "Transaction", class: "code", text: (e) => e.gtrid},
		{head: "More", class: "code", text: (e) => (e.fields === "{}" ? "" : e.fields)},
	], (e) => `${e.at} ${e.message} ${e.gtrid} ${e.fields}`, "Nothing was logged."),
};

function plan(s) {
	return make("details", {}, make("summary", {}, make("code", {}, s.statement)), make("pre", {}, `${s.plan}\n${s.outline}`));
}

function show(now) {
	say(byId("version"), now.version);
	const ready = byId("ready");
	say(ready, now.stopping ? "stopping" : now.ready ? "ready" : "not ready");
	ready.className = `pill ${now.ready ? "good" : "bad"}`;
	const down = now.tables.backends.rows.filter((b) => b.state !== "up").length;
	document.title = `${now.in_doubt ? `${now.in_doubt} in doubt, ` : ""}${down ? `${down} down, ` : ""}xaproxy`;
	traffic(now);
	topology(now);
	machine(now.states, now.in_doubt);
	const pools = new Map(now.tables.pools.rows.map((p) => [p.backend, p]));
	for (const b of now.tables.backends.rows) b.pool = pools.get(b.name) ?? {};
	for (const [name, table] of Object.entries({backends: "backends", transactions: "transactions", branches: "branches", slow: "slow_statements", events: "events"})) {
		tables[name].show(now.tables[table].rows, now.tables[table].all);
	}
	if (byId("all").hidden) commands();
	byId("all").hidden = false;
}

async function poll() {
	try {
		show(await ask("dashboard.json"));
		login(false);
		say(byId("asked"), "");
	} catch (e) {
		if (e.status === 401) {
			byId("all").hidden = true;
			login(true, poll);
			return; // until there is a token
		}
		const ready = byId("ready");
		say(ready, "no answer");
		ready.className = "pill bad";
		say(byId("asked"), e.message);
	}
	setTimeout(poll, interval);
}

poll();
