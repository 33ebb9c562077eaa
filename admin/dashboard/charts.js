import {byId, draw, make, say, span} from "./dom.js";

const kept = 120; // answers, one each second
const size = {width: 240, height: 48};

/** How much more there is of something each second than at the answer before. */
const rate = (now, before, of) => Math.max(of(now) - of(before), 0) / Math.max((Date.parse(now.time) - Date.parse(before.time)) / 1e3, 1e-3);

/** The quantile of what was counted between two answers, in seconds: the upper bound of its bucket; null if nothing was. */
function quantile(now, before, q) {
	const grown = now.took.map(([i, n]) => [i, n - (before.counted.get(i) ?? 0)]).filter(([, n]) => n > 0);
	let left = grown.reduce((sum, [, n]) => sum + n, 0) * q;
	for (const [i, n] of grown) {
		if ((left -= n) <= 0) return 2 ** (i / now.buckets_per_power);
	}
	return null;
}

const number = (n) => (n >= 100 ? Math.round(n).toLocaleString() : n.toPrecision(2).replace(/\.0$/, ""));
const bytes = (n) => (n >= 1e6 ? `${(n / 1e6).toFixed(1)} MB` : n >= 1e3 ? `${(n / 1e3).toFixed(1)} kB` : `${Math.round(n)} B`);

const charts = [
	{title: "Statements each second", unit: (n) => `${number(n)}/s`, lines: [["statements", (a, b) => rate(a, b, (x) => x.statements)]]},
	{title: "Latency of a statement", unit: span, lines: [["median", (a, b) => quantile(a, b, 0.5)], ["99 %", (a, b) => quantile(a, b, 0.99)]]},
	{title: "Errors each second", unit: (n) => `${number(n)}/s`, lines: [["errors", (a, b) => rate(a, b, (x) => x.errors)]]},
	{title: "Bytes from and to clients each second", unit: bytes, lines: [["received", (a, b) => rate(a, b, (x) => x.received)], ["sent", (a, b) => rate(a, b, (x) => x.sent)]]},
];

let before = null;

/** Shows another answer in the charts of traffic, which begin with the first one. */
export function traffic(now) {
	now.counted = new Map(now.took);
	if (before === null) {
		byId("traffic").replaceChildren(...charts.map(begin));
	} else {
		for (const c of charts) add(c, now, before);
	}
	before = now;
}

function begin(chart) {
	chart.values = chart.lines.map(() => []);
	chart.text = make("p", {}, "–");
	chart.paths = chart.lines.map((_, i) => draw("polyline", {class: i ? "two" : "one", "vector-effect": "non-scaling-stroke"}));
	chart.svg = draw("svg", {viewBox: `0 0 ${size.width} ${size.height}`, preserveAspectRatio: "none", role: "img", "aria-label": chart.title}, ...chart.paths);
	return make("div", {class: "chart"}, make("h3", {}, chart.title), chart.text, chart.svg);
}

function add(chart, now, before) {
	chart.lines.forEach(([, value], i) => {
		chart.values[i].push(value(now, before));
		chart.values[i].splice(0, chart.values[i].length - kept);
	});
	const top = Math.max(...chart.values.flat(), Number.MIN_VALUE);
	chart.paths.forEach((path, i) => {
		const values = chart.values[i], left = kept - values.length;
		const points = values.map((v, x) => `${((left + x) * size.width) / (kept - 1)},${size.height - 1 - ((v ?? 0) / top) * (size.height - 3)}`);
		path.setAttribute("points", points.join(" "));
	});
	const words = chart.lines.map(([name], i) => {
		const last = chart.values[i].at(-1);
		return (chart.lines.length > 1 ? `${name} ` : "") + (last === null ? "–" : chart.unit(last));
	});
	say(chart.text, words.join(", "));
	chart.svg.setAttribute("aria-label", `${chart.title}: ${words.join(", ")}; at most ${chart.unit(top)} in the last two minutes`);
}
