import {ask} from "./ask.js";
import {byId, make, say} from "./dom.js";

/** A button that has an action carried out once the administrator has confirmed what it will do. */
export function button(label, action, about, danger = false) {
	const b = make("button", {type: "button", ...(danger ? {class: "danger"} : {}), "aria-label": `${label} ${action.backend ?? action.gtrid ?? ""}`.trim()}, label);
	b.addEventListener("click", () => confirm(label, about, action));
	return b;
}

function confirm(label, about, action) {
	const dialog = byId("confirm");
	say(byId("confirm-title"), `${label}?`);
	say(byId("confirm-text"), about);
	say(byId("confirm-yes"), label);
	dialog.returnValue = "no";
	dialog.onclose = () => dialog.returnValue === "yes" && carryOut(label, action);
	dialog.showModal();
}

async function carryOut(label, action) {
	tell(`${label}: asked`, "warn");
	try {
		const {said} = await ask("do", {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(action)}, 70000);
		tell(said, "good");
	} catch (e) {
		tell(`${label}: ${e.message}`, "bad");
	}
}

function tell(text, className) {
	const outcome = byId("outcome");
	outcome.hidden = false;
	outcome.className = className;
	say(outcome, text.trim());
}

/** The buttons of a branch in doubt. */
export function resolving(branch) {
	const about = (verdict) => `Every branch of ${branch.gtrid} that is prepared is ${verdict} by hand, whatever the others have done. Nobody can undo it. `
		+ "Recovery does the right thing by itself as soon as it can know the decision; this is for when it never will. It is written into the store of decisions and the log, with your address.";
	return make("div", {class: "buttons"},
		button("Commit", {action: "resolve", gtrid: branch.gtrid, verdict: "commit"}, about("committed"), true),
		button("Roll back", {action: "resolve", gtrid: branch.gtrid, verdict: "rollback"}, about("rolled back"), true));
}

/** The buttons of a backend. */
export function pausing(backend) {
	const about = `Statements that need a new connection to ${backend.name} wait, and are refused after pool_wait. Transactions that have a branch there go on and end; recovery goes on.`;
	return make("div", {class: "buttons"},
		button("Pause", {action: "pause", backend: backend.name}, about, true),
		button("Resume", {action: "resume", backend: backend.name}, `Statements for ${backend.name} run again; those that wait run now.`));
}

/** The buttons about the proxy as a whole. */
export function commands() {
	byId("commands").replaceChildren(make("div", {class: "buttons"},
		button("Recover now", {action: "recover"}, "Recovery looks at all backends now, and finishes what it can prove; it does so by itself, too."),
		button("Drain", {action: "drain"}, "This xaproxy takes no new clients, lets open transactions end within drain_timeout, and stops, as after SIGTERM. Clients need another one, or a socket unit that starts it again.", true)));
}
