// One notification with every attempt: what was sent, what came back.
import { part } from "../api";
import { Child, h } from "../dom";
import { t } from "../messages/index";
import { attempts, facts, job_link, outside, pill, said, section, when } from "../parts";
import { link } from "../router";
import { Delivery, FeedEvent } from "../types";
import { View } from "../view";
import { resend } from "./delivery_actions";

export class DeliveryView extends View {
    private readonly id = this.route.path[1]!;
    private delivery: Delivery | undefined;

    title(): string { return `${t.deliveries.one}${this.delivery ? ` ${t.state[this.delivery.state]} · ${this.delivery.notifier}` : ""}`; }
    hears(event: FeedEvent): boolean { return event.subject === this.id || event.kind === "notifier"; }
    async fetch(signal: AbortSignal): Promise<void> { this.delivery = await this.app.api.get<Delivery>(`v1/deliveries/${part(this.id)}`, signal); }
    actions(): Child { return this.app.may("operator") && resend(this.app, this.delivery!); }

    body(): Child {
        const each = this.delivery!;
        return [
            h("div", { class: "why", key: "why" }, pill(each.state), h("div", null, each.error && h("p", { class: "first" }, said(each.error)), each.held && h("p", null, said(each.held.because), each.held.nextProbe && [" · ", t.deliveries.probe(""), when(each.held.nextProbe)]),
                each.overtook && h("p", null, t.deliveries.overtook))),
            facts([[t.deliveries.id, h("code", null, each.id)], [t.deliveries.notifier, h("a", { href: link(["deliveries"], { notifier: each.notifier }) }, outside(each.notifier))], [t.deliveries.columns.on, outside(each.on)],
                [t.deliveries.job, each.job && job_link(each.job)], [t.deliveries.columns.about, each.subject && outside(each.subject)], [t.deliveries.columns.created, when(each.createdAt)], [t.deliveries.nextTry(""), !each.held && when(each.nextTry)]]),
            section(t.deliveries.attempts, each.attempts?.length ? attempts(this, each.id, each.attempts, true) : h("p", { class: "empty" }, t.deliveries.noAttempts)),
        ];
    }
}
