import {byId, say} from "./dom.js";

const patience = 10000; // milliseconds

/** Asks the admin listener, with the token if there is one. An error has the status of the answer. */
export async function ask(path, options = {}, within = patience) {
	const token = sessionStorage.getItem("token");
	const headers = {...(token ? {Authorization: `Bearer ${token}`} : {}), ...options.headers};
	const answer = await fetch(path, {...options, headers, cache: "no-store", signal: AbortSignal.timeout(within)});
	if (!answer.ok) throw Object.assign(new Error((await answer.text()).trim()), {status: answer.status});
	return answer.json();
}

/** Asks for the token, and calls then with one; or stops asking. */
export function login(wanted, then) {
	const form = byId("login");
	if (form.hidden !== wanted) {
		if (wanted) say(byId("refused"), "That is not the token.");
		return;
	}
	form.hidden = !wanted;
	if (!wanted) return;
	say(byId("refused"), sessionStorage.getItem("token") ? "The token is not valid any more." : "");
	form.onsubmit = (e) => {
		e.preventDefault();
		sessionStorage.setItem("token", byId("token").value);
		byId("token").value = "";
		then();
	};
	byId("token").focus();
}
