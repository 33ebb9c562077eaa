// What the rest of the page is built with. Text from the proxy only ever becomes text nodes and attributes, never markup.

const svgSpace = "http://www.w3.org/2000/svg";

/** Makes an element: make("p", {class: "note"}, "text", other). */
export function make(tag, attributes = {}, ...children) {
	return fill(document.createElement(tag), attributes, children);
}

/** Makes an element of a drawing. */
export function draw(tag, attributes = {}, ...children) {
	return fill(document.createElementNS(svgSpace, tag), attributes, children);
}

function fill(element, attributes, children) {
	for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
	element.append(...children);
	return element;
}

export const byId = (id) => document.getElementById(id);

/** Sets the text of an element if it is another one: what stays the same is not read out again, and keeps its selection. */
export function say(element, text) {
	if (element.textContent !== text) element.textContent = text;
}

/**
 * A table whose rows are kept by key, so that a focus or a selection in them survives the next answer. Columns are
 * {head, text(row)} with class, or {head, node(row)} for what is made once for each row.
 */
export class Table {
	constructor(table, caption, columns, key, empty) {
		this.columns = columns;
		this.key = key;
		this.rows = new Map();
		this.caption = make("caption", {}, caption);
		this.body = make("tbody");
		this.empty = make("tr", {}, make("td", {colspan: columns.length}, empty));
		const heads = columns.map((c) => make("th", {scope: "col"}, c.head));
		table.replaceChildren(this.caption, make("thead", {}, make("tr", {}, ...heads)), this.body);
	}

	show(rows, all = rows.length) {
		const seen = new Set();
		let at = this.body.firstChild;
		for (const row of rows) {
			const key = this.key(row);
			if (seen.has(key)) continue;
			seen.add(key);
			let tr = this.rows.get(key);
			if (!tr) {
				tr = make("tr", {}, ...this.columns.map((c) => make("td", c.class ? {class: c.class} : {}, ...(c.node ? [c.node(row)] : []))));
				this.rows.set(key, tr);
			}
			this.columns.forEach((c, i) => c.text && say(tr.cells[i], c.text(row)));
			if (tr === at) at = at.nextSibling;
			else this.body.insertBefore(tr, at);
		}
		for (const [key, tr] of this.rows) {
			if (!seen.has(key)) {
				tr.remove();
				this.rows.delete(key);
			}
		}
		if (rows.length === 0) this.body.append(this.empty);
		else this.empty.remove();
		this.more?.remove();
		if (all > rows.length) {
			this.more = make("tr", {}, make("td", {colspan: this.columns.length}, `and ${all - rows.length} more`));
			this.body.append(this.more);
		}
	}
}

/** A duration in seconds as people read it; "" if nobody knows it. */
export function span(seconds) {
	if (seconds === null || seconds === undefined) return "";
	if (seconds < 0.001) return `${Math.round(seconds * 1e6)} µs`;
	if (seconds < 1) return `${(seconds * 1e3).toPrecision(3)} ms`;
	if (seconds < 120) return `${seconds.toFixed(1)} s`;
	if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
	return `${(seconds / 3600).toFixed(1)} h`;
}

export const clock = (text) => (text ? new Date(text).toLocaleTimeString() : "");
