import {byId, draw, make, say} from "./dom.js";

// The state machine of docs/protocol.md. Each state has its place, and what it promises.
const states = {
	active: [10, 70, "statements run; a crash means rollback"],
	preparing: [180, 10, "votes are collected; a crash means rollback"],
	"one-phase": [350, 130, "the server of the only writing branch decides"],
	deciding: [350, 10, "the record of the decision is being made durable"],
	fencing: [520, 10, "the decider gave no answer, and is asked what the decision is"],
	committing: [520, 70, "the record is durable; only commit from here"],
	aborting: [520, 190, "only rollback from here"],
	unknown: [690, 10, "the decider does not say; recovery will find out"],
	halted: [690, 130, "the log failed; the process stops"],
	recovery: [690, 70, "branches in doubt, which recovery finishes"],
};
const edges = [
	["active", "preparing"], ["active", "one-phase"], ["active", "committing"], ["active", "aborting"], ["preparing", "deciding"], ["preparing", "aborting"],
	["deciding", "fencing"], ["deciding", "committing"], ["deciding", "one-phase"], ["deciding", "aborting"], ["fencing", "unknown"], ["fencing", "committing"],
	["committing", "recovery"], ["unknown", "recovery"],
];
const alarming = new Set(["unknown", "halted", "recovery"]);
const box = {width: 120, height: 40};

let nodes = null;
let counts = null;

/** Shows how many transactions are in each state, and how many branches are in doubt. */
export function machine(inStates, inDoubt) {
	if (nodes === null) begin();
	for (const [name, node] of Object.entries(nodes)) {
		const n = name === "recovery" ? inDoubt : (inStates[name] ?? 0);
		say(node.count, String(n));
		node.group.setAttribute("class", (n > 0 ? "busy" : "") + (alarming.has(name) ? " alarm" : ""));
		say(counts[name], String(n));
	}
}

function begin() {
	nodes = {};
	counts = {};
	const arrow = draw("marker", {id: "arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 8, markerHeight: 8, orient: "auto"}, draw("path", {d: "M0 0L8 4L0 8Z", class: "head"}));
	const lines = edges.map(([from, to]) => draw("path", {class: "edge", "marker-end": "url(#arrow)", d: way(states[from], states[to])}));
	const groups = Object.entries(states).map(([name, [x, y, promise]]) => {
		const count = draw("text", {x: x + box.width - 10, y: y + 26, "text-anchor": "end", class: "count"}, "0");
		const group = draw("g", {}, draw("title", {}, promise), draw("rect", {class: "node", x, y, width: box.width, height: box.height, rx: 6}),
			draw("text", {x: x + 10, y: y + 25}, name === "recovery" ? "in doubt" : name), count);
		nodes[name] = {group, count};
		return group;
	});
	const picture = draw("svg", {viewBox: "0 0 820 240", "aria-hidden": "true"}, draw("defs", {}, arrow), ...lines, ...groups);
	const rows = Object.entries(states).map(([name, [, , promise]]) => {
		counts[name] = make("td", {id: `count-${name}`}, "0");
		return make("tr", {}, make("th", {scope: "row"}, name === "recovery" ? "in doubt" : name), counts[name], make("td", {}, promise));
	});
	// The same for those who do not see the picture.
	const words = make("table", {class: "hidden"}, make("caption", {}, "Transactions in each state"), make("tbody", {}, ...rows));
	byId("machine").replaceChildren(picture, words);
}

/** A line from one box to another: between the sides that face each other. */
function way([x1, y1], [x2, y2]) {
	const {width, height} = box;
	if (x1 === x2) return y1 < y2 ? `M${x1 + width / 2} ${y1 + height}V${y2}` : `M${x1 + width / 2} ${y1}V${y2 + height}`;
	const from = [x1 + width, y1 + height / 2], to = [x2, y2 + height / 2], middle = (from[0] + to[0]) / 2;
	return `M${from}C${middle} ${from[1]} ${middle} ${to[1]} ${to}`;
}

/** Shows the clients, this proxy and its backends with their states. */
export function topology(now) {
	const backends = now.tables.backends.rows, row = 46, height = Math.max(backends.length * row, row);
	const middle = height / 2;
	const pools = new Map(now.tables.pools.rows.map((p) => [p.backend, p]));
	const node = (x, y, width, lines, className, title) => draw("g", {class: className}, draw("title", {}, title), draw("rect", {class: "node", x, y: y - 18, width, height: 36, rx: 6}),
		...lines.map((text, i) => draw("text", {x: x + 10, y: y + (lines.length > 1 ? -3 + i * 15 : 4), ...(i ? {class: "quiet"} : {})}, text)));
	const drawn = backends.map((b, i) => {
		const y = row * i + row / 2, p = pools.get(b.name);
		const state = b.state === "up" ? "up" : b.state === "paused" || b.state === "leaving" ? "paused" : "down";
		const about = [`${b.name}: ${b.state}`, [b.kind, p && `${p.used} of ${p.size} connections`, b.in_doubt && `${b.in_doubt} in doubt`].filter(Boolean).join(", ")];
		const line = draw("path", {class: "edge", d: `M310 ${middle}C355 ${middle} 355 ${y} 400 ${y}`});
		return draw("g", {class: state}, line, node(400, y, 290, about, state, b.reason || b.address));
	});
	const words = backends.map((b) => `${b.name} is ${b.state}`).join(", ");
	byId("topology").replaceChildren(draw("svg", {viewBox: `0 0 700 ${height}`, role: "img", "aria-label": `${now.clients} clients; ${words}`},
		draw("path", {class: "edge", d: `M130 ${middle}H190`}), node(0, middle, 130, [`${now.clients} client${now.clients === 1 ? "" : "s"}`], "up", "clients that are connected"),
		node(190, middle, 120, ["xaproxy", `${now.in_flight} in flight`], "up", "transactions in flight"), ...drawn));
}
