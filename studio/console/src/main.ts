// The page: who is signed in, where one is, what is connected; the views do the rest.
import { Api, Problem, Stopped } from "./api";
import { Child, Flat, h, patch } from "./dom";
import { time_text } from "./format";
import { Live } from "./live";
import { t } from "./messages/index";
import { problem_box, said } from "./parts";
import { read, Route } from "./router";
import { reaches, Session } from "./session";
import { FeedEvent, Who } from "./types";
import { App, Ask, View } from "./view";
import { AgentView } from "./views/agent";
import { AgentsView } from "./views/agents";
import { DeliveriesView } from "./views/deliveries";
import { DeliveryView } from "./views/delivery";
import { DeploymentView, DeploymentsView } from "./views/deployments";
import { JobView } from "./views/job";
import { JobsView } from "./views/jobs";
import { TriggerView, TriggersView } from "./views/triggers";

const ROOMS = ["jobs", "agents", "triggers", "deliveries", "deployments"] as const;
const VIEWS: Record<string, [new (app: App, route: Route) => View, new (app: App, route: Route) => View]> = {
    jobs: [JobsView, JobView], agents: [AgentsView, AgentView], triggers: [TriggersView, TriggerView], deliveries: [DeliveriesView, DeliveryView], deployments: [DeploymentsView, DeploymentView],
};
const SETTLE = 400;   // ms between a change and the next look, so that a thousand changes are a few looks

class Console implements App {
    readonly api = new Api();
    private readonly session = new Session();
    private readonly live = new Live(this.api, event => this.heard(event), (state, before) => this.connection(state, before));
    private who: Who | undefined;
    private view: View | undefined;
    private drawn: Flat[] = [];
    private readonly root: HTMLElement;
    private sentence: { text: string; bad: boolean } | undefined;
    private question: { ask: Ask; answer: (given: Record<string, string> | null) => void } | undefined;
    private login: { busy: boolean; problem?: Problem; note?: string } = { busy: false };
    private loading: AbortController | undefined;
    private due: ReturnType<typeof setTimeout> | undefined;
    private frame = 0;
    private fade: ReturnType<typeof setTimeout> | undefined;

    constructor() {
        this.root = document.createElement("div");
        this.root.id = "app";
        document.body.append(this.root);
        document.documentElement.lang = t.language;
        this.api.unreachable = t.unreachable;
        this.api.refused = problem => this.leave(t.login.ended, problem);
        this.session.ended = () => this.leave(t.login.elsewhere);
        addEventListener("hashchange", () => this.arrive(true));
        document.addEventListener("visibilitychange", () => this.look());
        setInterval(() => { if (!document.hidden && this.view?.ticks()) this.draw(); }, 1000);
        void this.begin();
    }

    // --- who ---------------------------------------------------------------------------------------------------------

    private async begin(): Promise<void> {
        const token = await this.session.find();
        if (token) await this.enter(token);
        else this.draw();
    }

    private async enter(token: string): Promise<void> {
        this.login = { busy: true };
        this.draw();
        this.api.token = token;
        try {
            const who = await this.api.get<Who>("v1/session");
            if (!reaches(who.role, "viewer")) throw new Problem(403, t.login.title, t.login.weak(who.kind), "forbidden");
            this.who = who;
            this.session.keep(token);
            this.login = { busy: false };
            this.live.forget();
            this.live.start();
            this.arrive(true);
        } catch (error) {
            const problem = error instanceof Problem ? error : new Problem(0, String(error), "", "");
            if (problem.status !== 401 && problem.status !== 403 && this.session.held(token)) {   // the factory is away, the token as good as before
                this.login = { busy: false, problem };
                setTimeout(() => { if (!this.who && this.session.held(token) && !this.login.busy) void this.enter(token); }, 2000);
            } else {
                this.session.drop();
                this.api.token = "";
                this.login = { busy: false, problem };
            }
            this.draw();
        }
    }

    private leave(note?: string, problem?: Problem): void {
        if (!this.who && !this.login.busy) return;
        this.session.drop();
        this.api.token = "";
        this.who = undefined;
        this.view?.life.abort(new Stopped());
        this.view = undefined;
        this.sentence = undefined;
        this.loading?.abort(new Stopped());
        this.live.stop();
        this.close(null);
        this.login = { busy: false };
        if (note !== undefined) this.login.note = note;
        if (problem) this.login.problem = problem;
        this.draw();
    }

    may(role: "operator" | "developer" | "admin"): boolean { return this.who !== undefined && reaches(this.who.role, role); }

    // --- where -------------------------------------------------------------------------------------------------------

    private arrive(fresh: boolean): void {
        if (!this.who) return this.draw();
        const route = read(location.hash);
        const [room = "jobs", name] = route.path;
        const views = VIEWS[room];
        this.close(null);
        this.view?.life.abort(new Stopped());
        this.view = views && route.path.length <= 2 ? new views[name === undefined ? 0 : 1](this, route) : undefined;
        this.draw(true);
        if (fresh) this.focusTitle();
        this.reload();
    }
    private focusTitle(): void {
        scrollTo(0, 0);
        document.querySelector<HTMLElement>("main h1")?.focus({ preventScroll: true });
    }
    go(address: string): void { location.hash = address; }

    reload(): void {
        clearTimeout(this.due);
        this.due = undefined;
        const view = this.view;
        if (!view || document.hidden) return;
        this.loading?.abort(new Stopped());
        const loading = this.loading = new AbortController();
        view.fetch(loading.signal).then(() => { view.problem = undefined; }, error => {
            if (error instanceof Stopped || loading.signal.aborted) return;
            view.problem = error instanceof Problem ? error : new Problem(0, String(error), "", "");
        }).finally(() => {
            if (view !== this.view || loading.signal.aborted) return;
            this.loading = undefined;
            if (!view.problem) view.loaded = true;
            this.draw();
            if (this.late) this.later();
        });
    }
    private late = false;
    private later(): void {
        if (this.due !== undefined) return;
        this.late = this.loading !== undefined;   // one look at a time: what changed meanwhile is looked at afterwards
        if (this.late) return;
        this.due = setTimeout(() => this.reload(), SETTLE);
    }

    // --- what changes ------------------------------------------------------------------------------------------------

    private heard(event: FeedEvent): void { if (this.view?.hears(event)) this.later(); }
    private connection(state: string, before: string): void {
        if (state === "live" && before === "lost") this.say(t.live.back);
        if (state === "live") this.later();   // what happened before the stream began
        this.draw();
    }
    private look(): void {
        if (!this.who) return;
        if (document.hidden) return this.live.stop();   // six connections are all that a browser has for a factory
        this.live.start();
        this.reload();
    }

    // --- what is asked and said --------------------------------------------------------------------------------------

    ask(ask: Ask): Promise<Record<string, string> | null> {
        this.close(null);
        return new Promise(answer => {
            this.question = { ask, answer };
            this.draw(true);
        });
    }
    private close(given: Record<string, string> | null): void {
        const question = this.question;
        if (!question) return;
        this.question = undefined;
        document.querySelector<HTMLDialogElement>("dialog[open]")?.close();   // gives the focus back
        question.answer(given);
        this.draw();
    }
    say(text: string, bad = false): void {
        this.sentence = { text, bad };
        clearTimeout(this.fade);
        this.fade = setTimeout(() => { this.sentence = undefined; this.draw(); }, bad ? 20_000 : 6000);
        this.draw();
    }
    async act(what: () => Promise<unknown>, done: string): Promise<boolean> {
        try {
            await what();
            if (done) this.say(done);
            this.reload();
            return true;
        } catch (error) {
            if (!(error instanceof Problem) || error.status === 401) return false;
            this.say([error.title, error.detail, error.code && `${t.code} ${error.code}`].filter(Boolean).join(" · "), true);
            this.reload();
            return false;
        }
    }

    // --- how it looks ------------------------------------------------------------------------------------------------

    draw(atOnce = false): void {
        if (atOnce) return this.paint();
        if (this.frame) return;
        this.frame = document.hidden ? setTimeout(() => this.paint(), 0) as unknown as number : requestAnimationFrame(() => this.paint());
    }
    private paint(): void {
        this.frame = 0;
        const title = this.who ? this.view?.title() ?? t.notFound : t.login.title;
        const next = this.who ? this.shell() : this.gate();
        const focused = document.activeElement as HTMLElement | null;
        patch(this.root, this.drawn, next);
        this.drawn = next;
        if (focused && focused !== document.activeElement && focused.isConnected && document.activeElement === document.body) focused.focus({ preventScroll: true });
        document.title = `${title} · Millwright`;
    }

    private gate(): Flat[] {
        const { busy, problem, note } = this.login;
        return [h("main", { key: "gate", class: "login" },
            h("h1", null, "Millwright"), h("h2", null, t.login.title),
            note && h("p", { role: "status", class: "note" }, note),
            problem && problem_box(problem),
            h("form", { onsubmit: (event: Event) => this.submit(event) },
                h("label", { for: "token" }, t.login.token),
                h("input", { id: "token", type: "password", autocomplete: "off", spellcheck: "false", autocapitalize: "none", required: true, "aria-describedby": "token-help", ref: (element: HTMLElement) => setTimeout(() => element.focus(), 0) }),
                h("button", { type: "submit", class: "main", disabled: busy }, busy ? t.login.busy : t.login.button)),
            h("p", { id: "token-help", class: "dim" }, said(t.login.help), " ", t.login.memory))];
    }
    private submit(event: Event): void {
        event.preventDefault();
        const input = document.getElementById("token") as HTMLInputElement;
        const token = input.value.trim();
        input.value = "";   // nowhere on the page, whatever comes of it
        if (/^mw_[\x21-\x7e]+$/.test(token)) void this.enter(token);
        else {
            this.login = { busy: false, problem: new Problem(0, t.login.form, "", "") };
            this.draw();
        }
    }

    private shell(): Flat[] {
        const room = read(location.hash).path[0] ?? "jobs";
        return [
            h("a", { key: "skip", class: "skip", href: "#main", onclick: (event: Event) => { event.preventDefault(); this.focusTitle(); } }, t.skip),
            h("header", { key: "header" },
                h("a", { class: "brand", href: "#/" }, h("svg", { viewBox: "0 0 32 32", width: "22", height: "22", "aria-hidden": "true" }, h("circle", { cx: "16", cy: "16", r: "5" }),
                    h("path", { d: "M16 3v6M16 23v6M3 16h6M23 16h6M6.8 6.8l4.2 4.2M21 21l4.2 4.2M6.8 25.2l4.2-4.2M21 11l4.2-4.2" })), "Millwright"),
                h("nav", { "aria-label": t.nav.label }, h("ul", null, ...ROOMS.map(each => h("li", null, h("a", { href: `#/${each}`, "aria-current": each === room ? "page" : undefined }, t.nav[each]))))),
                h("div", { class: "foot" },
                    h("p", { class: `live l-${this.live.state}`, role: "status" }, h("span", { class: "dot", "aria-hidden": "true" }), t.live[this.live.state]),
                    h("p", { class: "dim who" }, t.login.as(this.who!.name || this.who!.kind, this.who!.role)),
                    h("button", { type: "button", class: "quiet", onclick: () => { this.session.signOut(); this.leave(); } }, t.login.out))),
            h("main", { key: "main", id: "main" },
                this.live.state === "lost" && h("p", { class: "banner", role: "status", key: "banner" }, t.live.banner(time_text(this.live.since))), this.content()),
            h("div", { key: "said", class: "said", "aria-live": "polite" }, this.sentence && h("p", { class: this.sentence.bad ? "bad" : "good", key: this.sentence.text }, said(this.sentence.text))),
            this.question ? this.dialog() : "",
        ].filter(Boolean);
    }
    private content(): Child {
        const view = this.view;
        if (!view) return [h("h1", { tabindex: "-1" }, t.notFound), h("p", null, t.notFoundText)];
        const key = location.hash.split("?")[0];
        return h("div", { key, class: "view" },
            h("div", { class: "title" }, h("h1", { tabindex: "-1" }, view.title()), h("div", { class: "actions" }, view.loaded ? view.actions() : null)),
            view.problem && (view.problem.status !== 0 || !view.loaded) && problem_box(view.problem, () => this.reload()),
            view.loaded ? view.body() : !view.problem && h("p", { class: "dim", role: "status" }, t.loading));
    }
    private dialog(): Flat {
        const { ask } = this.question!;
        return h("dialog", { key: "dialog", "aria-labelledby": "ask", ref: (element: HTMLElement) => setTimeout(() => { if (element.isConnected) (element as HTMLDialogElement).showModal(); }, 0),
            oncancel: (event: Event) => { event.preventDefault(); this.close(null); } },
            h("form", { onsubmit: (event: Event) => { event.preventDefault(); this.close(this.given(event.target as HTMLFormElement)); } },
                h("h2", { id: "ask" }, ask.title), h("p", null, ask.text),
                ...(ask.fields ?? []).map(field => h("label", { class: field.kind }, h("input", { type: field.kind === "check" ? "checkbox" : "text", name: field.name, maxlength: "300", autocomplete: "off" }), h("span", null, field.label))),
                h("div", { class: "actions" }, h("button", { type: "button", onclick: () => this.close(null) }, ask.no), h("button", { type: "submit", class: ask.danger ? "danger" : "main" }, ask.yes))));
    }
    private given(form: HTMLFormElement): Record<string, string> {
        const out: Record<string, string> = {};
        for (const input of form.querySelectorAll("input")) out[input.name] = input.type === "checkbox" ? input.checked ? "yes" : "" : input.value.trim();
        return out;
    }
}

new Console();
