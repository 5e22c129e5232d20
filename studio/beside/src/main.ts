// The page: who it is for, where one is, what the agent says; the views do the rest.
import { Child, Flat, h, patch } from "../../console/src/dom";
import { Api, Mistake, Problem } from "./api";
import { time_text } from "./format";
import { choose, count, Key, language, Language, t, why_text } from "./messages";
import { text } from "./parts";
import { Agent, Person } from "./types";
import { App, View } from "./view";
import { HistoryView, JobView } from "./views/history";
import { HomeView } from "./views/home";
import { ConsentView, QuestionView } from "./views/question";
import { StartView } from "./views/start";

const PARKED = 25_000, AGAIN = 2_000, SETTLE = 150, SAID = 8_000;
const PAUSES: [Key, () => Record<string, string>][] = [
    ["pause.1h", () => ({ for: "1h" })], ["pause.4h", () => ({ for: "4h" })], ["pause.day", () => ({ until: tomorrow().toISOString() })], ["pause.open", () => ({})],
];
function tomorrow(): Date {
    const date = new Date();
    date.setDate(date.getDate() + 1);
    date.setHours(0, 0, 0, 0);
    return date;
}
const sleep = (ms: number): Promise<void> => new Promise(done => { setTimeout(done, ms); });

class Page implements App {
    readonly api = new Api();
    busy = false;
    private known: Person | undefined;
    private away: Key | undefined;      ///< who does not answer
    private closed = "";                 ///< why nothing is shown
    private view: View | undefined;
    private address = "";
    private drawn: Flat[] = [];
    private readonly root: HTMLElement;
    private sentence: { text: string; bad: boolean } | undefined;
    private fade: ReturnType<typeof setTimeout> | undefined;
    private question: { title: string; about: string; yes: string; answer: (yes: boolean) => void } | undefined;
    private frame = 0;
    private watching: AbortController | undefined;

    constructor() {
        this.root = document.createElement("div");
        this.root.id = "page";
        document.body.append(this.root);
        this.api.ended = () => this.close("app.closed.how");
        addEventListener("hashchange", () => void this.arrive());
        document.addEventListener("visibilitychange", () => { if (document.hidden) this.watching?.abort(); });
        setInterval(() => { if (!document.hidden) this.draw(); }, 15_000);   // what counts minutes
        void this.begin();
    }

    get person(): Person { return this.known!; }
    private get waiting(): number { return this.known ? this.known.consents.length + this.known.questions.length + this.known.tells.length : 0; }

    // --- who -----------------------------------------------------------------------------------------------------------

    private async begin(): Promise<void> {
        await this.enter();
        void this.watch();
    }
    /** A link's secret leaves the address before anything else happens. */
    private async enter(): Promise<void> {
        const link = new URLSearchParams(location.hash.slice(1));
        const secret = link.get("secret");
        if (secret !== null) {
            history.replaceState(null, "", `#/${this.target(link.get("to") ?? "")}`);
            try {
                await this.api.enter(secret);
                this.closed = "";
            } catch (error) {
                if (!this.api.open) this.closed = t(error instanceof Problem && error.status === 429 ? "app.link.many" : error instanceof Problem && error.status === 403 ? "app.link.old" : "app.away");
            }
        }
        if (!this.api.open && !this.closed) this.closed = t("app.closed.how");
        this.draw();
    }
    private target(to: string): string {
        const [what = "", id = ""] = to.split("/");
        if (what === "history") return id ? `job/${id}` : "history";
        if (["question", "consent", "job"].includes(what) && id) return `${what}/${id}`;
        return (what === "launch" || what === "launcher") && id ? `start/${id}` : "";
    }
    private close(why: Key): void {
        this.watching?.abort();
        this.known = undefined;
        this.view?.leave?.();
        this.view = undefined;
        this.closed = t(why);
        this.draw();
    }

    // --- what the agent says -------------------------------------------------------------------------------------------

    private async watch(): Promise<void> {
        for (;;) {
            while (document.hidden) await new Promise<void>(done => document.addEventListener("visibilitychange", () => done(), { once: true }));
            if (!this.api.open) {
                await sleep(AGAIN);
                continue;
            }
            await this.look();
            if (this.away) {
                await sleep(AGAIN);
                continue;
            }
            const limit = new AbortController();
            this.watching = limit;
            const before = Date.now();
            await this.api.get(`changes?after=${this.known?.version ?? 0}`, { signal: limit.signal, patience: PARKED }).catch(() => undefined);   // in vain: it is time to look anyway
            await sleep(Math.max(0, SETTLE - (Date.now() - before)));
        }
    }
    private async look(): Promise<void> {
        try {
            const said = await this.api.get<Person>("person");
            const list = <T>(of: T[] | undefined): T[] => Array.isArray(of) ? of : [];
            this.known = { ...said, running: list(said.running), queued: list(said.queued), launchable: list(said.launchable), questions: list(said.questions), consents: list(said.consents), tells: list(said.tells), history: list(said.history) };
            this.away = undefined;
            if (!this.view) void this.arrive();
            else this.view.news?.();
        } catch (error) {
            this.away = !this.api.open ? undefined : error instanceof Problem && error.status > 0 ? "app.away" : "app.program";
        }
        this.draw();
    }

    // --- where ---------------------------------------------------------------------------------------------------------

    private async arrive(): Promise<void> {
        if (location.hash.includes("secret=")) {   // a second link into this window
            this.address = "";
            await this.enter();
        }
        if (!this.known) return;
        if (this.view && this.address === location.hash) return;
        const first = this.view === undefined;
        this.address = location.hash;
        this.view?.leave?.();
        this.view = this.view_at(location.hash);
        this.draw();
        if (!first) requestAnimationFrame(() => requestAnimationFrame(() => document.querySelector("h1")?.focus()));
    }
    private view_at(hash: string): View {
        const [what = "", id = "", more = ""] = hash.replace(/^#\/?/, "").split("/").map(each => { try { return decodeURIComponent(each); } catch { return each; } });
        if (what === "") return new HomeView(this);
        if (what === "history") return new HistoryView(this);
        if (id && what === "start") return new StartView(this, id, more);
        if (id && what === "question") return new QuestionView(this, id);
        if (id && what === "consent") return new ConsentView(this, id);
        if (id && what === "job") return new JobView(this, id);
        return { title: () => t("app.nowhere"), body: () => h("p", null, h("a", { href: "#/" }, t("app.home"))) };
    }
    go(address: string): void { location.hash = address; }

    // --- what is done --------------------------------------------------------------------------------------------------

    say(sentence: string, bad = false): void {
        this.sentence = { text: sentence, bad };
        clearTimeout(this.fade);
        this.fade = setTimeout(() => { this.sentence = undefined; this.draw(); }, SAID);
        this.draw();
    }
    async act(what: () => Promise<unknown>, done: string | (() => string), refused?: (mistakes: Mistake[]) => void): Promise<boolean> {
        if (this.busy) return false;
        this.busy = true;
        this.draw();
        try {
            await what();
            const words = typeof done === "string" ? done : done();
            if (words) this.say(words);
            return true;
        } catch (error) {
            const problem = error instanceof Problem ? error : new Problem(0, "");
            if (refused && problem.mistakes.length) refused(problem.mistakes);
            else if (this.api.open) this.say(t("app.failed", { why: problem.status > 0 ? text([why_text(problem.code, problem.by, problem.detail), ...problem.mistakes.map(each => each.text)].join(" · ")) : t("app.unreachable") }), true);
            return false;
        } finally {
            this.busy = false;
            if (this.api.open) await this.look();
        }
    }
    ask(question: { title: string; about: string; yes: string }): Promise<boolean> {
        this.question?.answer(false);
        return new Promise(done => {
            this.question = { ...question, answer: yes => { document.querySelector("dialog")?.close(); this.question = undefined; done(yes); this.draw(); } };
            this.draw();
        });
    }
    private stop(): void {
        let stopped = 0;
        void this.act(async () => { stopped = ((await this.api.post<{ stopped?: unknown[] }>("stop", { way: "page" })).stopped ?? []).length; },
            () => `${stopped === 0 ? t("stop.none") : count("stop", stopped)} ${t("stop.minute")}`);
    }

    // --- what is seen --------------------------------------------------------------------------------------------------

    draw(): void {
        if (this.frame) return;
        this.frame = requestAnimationFrame(() => {
            this.frame = 0;
            const next = h("div", null, this.whole()).children;
            patch(this.root, this.drawn, next);
            this.drawn = next;
            document.documentElement.lang = language;
            const title = this.view?.title() ?? "";
            document.title = [this.waiting > 0 ? `(${this.waiting})` : "", title, title && "–", t("app.title")].filter(Boolean).join(" ");
        });
    }

    private whole(): Child {
        return [
            h("a", { class: "skip", href: "#main", key: "skip", onClick: (event: Event) => { event.preventDefault(); document.querySelector("h1")?.focus(); } }, t("app.skip")),
            h("header", { key: "header" }, h("span", { class: "brand" }, t("app.title")), this.known && this.navigation(), this.languages(), this.known && this.controls()),
            h("main", { id: "main", key: "main" }, this.known && this.view ? [this.banners(this.known), h("h1", { tabindex: -1, key: `h ${this.address}` }, this.view.title()), h("div", { class: "view", key: this.address }, this.view.body())] : this.door()),
            this.known && h("footer", { key: "footer" }, this.about(this.known)),
            h("div", { class: "said", role: "status", key: "said" }, this.sentence && h("p", { class: this.sentence.bad ? "bad" : undefined }, this.sentence.text)),
            this.question && this.dialog(this.question),
            h("div", { class: "unseen", role: "status", key: "waiting" }, this.waiting > 0 && count("needs", this.waiting)),
        ];
    }
    private door(): Child {
        if (this.closed) return [h("h1", { tabindex: -1, key: "closed" }, t("app.closed")), h("p", { role: "alert", key: "why" }, this.closed)];
        return [h("h1", { tabindex: -1, key: "title" }, t("app.title")), h("p", { role: "status", key: "loading" }, t(this.away ?? "app.loading"))];
    }
    private navigation(): Child {
        const at = this.address.replace(/^#\/?/, "");
        const link = (address: string, key: Key) => h("li", null, h("a", { href: `#/${address}`, "aria-current": at === address ? "page" : undefined }, t(key)));
        return h("nav", { "aria-label": t("app.navigation") }, h("ul", null, link("", "nav.home"), link("history", "nav.history")));
    }
    private languages(): Child {
        return h("label", { class: "language" }, h("span", { class: "unseen" }, t("app.language")),
            h("select", { value: language, onChange: (event: Event) => { choose((event.target as HTMLSelectElement).value as Language); if (!this.api.open) this.closed = t("app.closed.how"); this.draw(); } },
                (["en", "de"] as const).map(each => h("option", { value: each, lang: each }, t(`app.language.${each}`)))));
    }
    private controls(): Child {
        const paused = this.person.paused;
        const pause = (event: Event, body: Record<string, string>) => {
            (event.target as HTMLElement).closest("details")?.removeAttribute("open");
            void this.act(() => this.api.post("pause", body), t("pause.done"));
        };
        return h("div", { class: "controls" },
            paused ? h("button", { key: "resume", onClick: () => void this.act(() => this.api.post("resume"), t("pause.over")) }, t("pause.resume"))
                : h("details", { key: "pause" }, h("summary", null, t("pause.title")), h("ul", null, PAUSES.map(([key, body]) => h("li", null, h("button", { class: "quiet", onClick: (event: Event) => pause(event, body()) }, t(key)))))),
            h("button", { class: "danger", key: "stop", "aria-describedby": this.person.stop ? "stop-key" : undefined, onClick: () => this.stop() }, t("stop.everything")));
    }
    private banners(person: Person): Child {
        const { paused } = person;
        return h("div", { class: "banners", role: "status", key: "banners" },
            this.away && h("p", { class: "bad" }, t(this.away)),
            !this.away && agents_of(person).filter(each => each.state !== "online").map(each => h("p", null, each.why ? t("agent.offline.why", { why: text(each.why) }) : t("agent.offline", { factory: text(each.factory) }))),
            paused && h("p", null, paused.until ? t("pause.until", { time: time_text(paused.until) }) : t("pause.always"), paused.by && ` ${t("pause.by", { by: text(paused.by) })}`, paused.why && ` ${text(paused.why)}`));
    }
    private about(person: Person): Child {
        const session = person.session && `session.${person.session.state}` as Key;
        return [
            agents_of(person).map(each => h("p", null, t("agent.of", { agent: text(each.name), user: text(person.user) }), " · ", t(each.state === "online" ? "agent.online" : "agent.offline", { factory: text(each.factory) }))),
            h("p", null, session && SESSIONS.includes(session) && [t(session), " · "], person.stop && h("span", { id: "stop-key" }, t("stop.key", { key: text(person.stop.key) }))),
        ];
    }
    private dialog(question: { title: string; about: string; yes: string; answer: (yes: boolean) => void }): Child {
        return h("dialog", { key: "dialog", "aria-labelledby": "ask", "aria-describedby": "ask-about", ref: (element: HTMLElement) => requestAnimationFrame(() => (element as HTMLDialogElement).showModal()), onCancel: (event: Event) => { event.preventDefault(); question.answer(false); } },
            h("h2", { id: "ask" }, question.title), h("p", { id: "ask-about", class: "long" }, question.about),
            h("div", { class: "actions" }, h("button", { onClick: () => question.answer(false) }, t("ask.no")), h("button", { class: "danger", onClick: () => question.answer(true) }, question.yes)));
    }
}
/** One for each factory. */
const agents_of = (person: Person): Agent[] => person.agents ?? [person.agent];
const SESSIONS: Key[] = ["session.none", "session.active", "session.idle", "session.locked", "session.presentation", "session.other_user"];

new Page();
