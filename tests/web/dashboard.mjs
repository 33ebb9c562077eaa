// Looks at the dashboard in a browser, as a person with a keyboard does. The environment has WEB (where playwright-core is), BASE and
// TOKEN of the admin listener, GTRID of a transaction that is in doubt on BACKEND, and SHOTS, a folder for pictures, or nothing.

import assert from "node:assert/strict";
import {execSync} from "node:child_process";
import {createRequire} from "node:module";

const {WEB, BASE, TOKEN, GTRID, BACKEND, SHOTS} = process.env;
const {chromium} = createRequire(`${WEB}/`)("playwright-core");
const executablePath = execSync("command -v chromium-headless-shell || command -v chromium", {encoding: "utf8"}).trim();
const browser = await chromium.launch({executablePath, args: ["--no-sandbox"]});

/** A page that fails the test if it says anything on the console, or asks anybody but the admin listener. */
async function open(colorScheme) {
	const page = await (await browser.newContext({colorScheme, reducedMotion: "reduce", viewport: {width: 1100, height: 1000}})).newPage();
	page.setDefaultTimeout(20_000);
	page.on("pageerror", (e) => problems.push(`an error on the page: ${e}`));
	page.on("console", (m) => m.text().includes("401") || problems.push(`on the console: ${m.text()}`));
	page.on("request", (r) => r.url().startsWith(BASE) || r.url().startsWith("data:") || problems.push(`something else was asked for: ${r.url()}`));
	await page.goto(BASE);
	return page;
}
const problems = [];

async function logIn(page, token) {
	await page.getByLabel("Token of the admin listener").fill(token);
	await page.keyboard.press("Enter");
}

/** What has no name for those who hear the page, and what is hard to see: WCAG 2 wants a contrast of 4.5. */
const flaws = (page) => page.evaluate(() => {
	const found = [];
	const channels = (colour) => colour.match(/[\d.]+/g).map(Number);
	const light = (colour) => channels(colour).slice(0, 3).map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
		.reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
	const behind = (element) => {
		for (let e = element; e; e = e.parentElement) {
			const colour = getComputedStyle(e).backgroundColor;
			if ((channels(colour)[3] ?? 1) > 0) return colour;
		}
		return "rgb(255, 255, 255)";
	};
	for (const e of document.querySelectorAll("main *, header *")) {
		if (!e.checkVisibility() || ![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()) || e.closest("svg")) continue;
		const [a, b] = [light(getComputedStyle(e).color), light(behind(e))].sort((x, y) => y - x);
		if ((a + 0.05) / (b + 0.05) < 4.5) found.push(`contrast of ${e.tagName} "${e.textContent.slice(0, 30)}"`);
	}
	for (const e of document.querySelectorAll("button, input, [role=img], [role=region]")) {
		if (!e.checkVisibility()) continue;
		const label = e.getAttribute("aria-label") ?? document.getElementById(e.getAttribute("aria-labelledby"))?.textContent ?? e.labels?.[0]?.textContent ?? e.textContent;
		if (!label?.trim()) found.push(`no name: ${e.outerHTML.slice(0, 80)}`);
	}
	if (!document.documentElement.lang || document.querySelectorAll("h1").length !== 1) found.push("language or heading");
	return found;
});

const page = await open("light");
await logIn(page, "not the token");
await page.getByText("That is not the token.").waitFor();
assert.equal(await page.locator("#all").isVisible(), false, "something is shown without the token");
await logIn(page, TOKEN);
await page.locator("#ready", {hasText: "ready"}).waitFor();
const row = page.locator("#branches tr", {hasText: GTRID});
await row.filter({hasText: BACKEND}).filter({hasText: "unclaimed"}).waitFor();
assert.equal(await page.locator("#count-recovery").textContent(), "1");
assert.equal(await page.getByLabel("Token of the admin listener").isVisible(), false);
assert.match(await page.title(), /1 in doubt/);
await page.locator("#backends tr", {hasText: BACKEND}).filter({hasText: "up"}).waitFor();
await page.locator("#slow tr", {hasText: "SLEEP(?)"}).first().waitFor();
await page.locator("#traffic p", {hasText: /\d\/s/}).first().waitFor();
assert.deepEqual(await flaws(page), [], "flaws in the light page");

const dark = await open("dark");
await logIn(dark, TOKEN);
await dark.locator("#branches tr", {hasText: GTRID}).waitFor();
assert.deepEqual(await flaws(dark), [], "flaws in the dark page");
assert.notEqual(await dark.evaluate(() => getComputedStyle(document.body).backgroundColor), await page.evaluate(() => getComputedStyle(document.body).backgroundColor));
if (SHOTS) {
	for (const [name, one] of Object.entries({light: page, dark})) {
		await one.locator("#traffic polyline[points*=' ']").first().waitFor();
		await one.waitForTimeout(50_000); // for lines to be seen
		await one.screenshot({path: `${SHOTS}/dashboard-${name}.png`});
	}
}
await dark.context().close();

// With the keyboard alone: who thinks better of it changes nothing.
const button = row.getByRole("button", {name: `Commit ${GTRID}`});
for (let i = 0; !(await button.evaluate((b) => b === document.activeElement)); i++) {
	assert(i < 100, "the button cannot be reached with the Tab key");
	await page.keyboard.press("Tab");
}
await page.keyboard.press("Enter");
const dialog = page.getByRole("dialog", {name: "Commit?"});
await dialog.waitFor();
await page.keyboard.press("Escape");
await dialog.waitFor({state: "hidden"});
assert.equal(await button.evaluate((b) => b === document.activeElement), true, "the focus is lost behind the dialog");
assert.equal(await row.count(), 1);
await page.keyboard.press("Enter");
await dialog.waitFor();
await page.keyboard.press("Tab");
await page.keyboard.press("Enter");
await page.getByRole("status").filter({hasText: "commit by hand"}).waitFor();
await row.waitFor({state: "detached"});
await page.locator("#count-recovery", {hasText: "0"}).waitFor({state: "attached"});
await page.locator("#events tr", {hasText: "audit"}).filter({hasText: `resolve ${GTRID}`}).waitFor();

const shop2 = page.locator("#backends tr", {hasText: "shop-2"});
for (const [label, state] of [["Pause", "paused"], ["Resume", "up"]]) {
	await shop2.getByRole("button", {name: `${label} shop-2`}).click();
	await page.getByRole("dialog").getByRole("button", {name: label}).click();
	await shop2.locator("td:nth-child(2)", {hasText: new RegExp(`^${state}`)}).waitFor();
}

assert.deepEqual(problems, []);
await browser.close();
