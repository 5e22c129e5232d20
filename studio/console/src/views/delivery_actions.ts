// What can be done about what did not arrive, after a question.
import { part } from "../api";
import { h, VNode } from "../dom";
import { t } from "../messages/index";
import { Delivery, Notifier, TestAnswer } from "../types";
import { App } from "../view";

export function resend(app: App, delivery: Delivery): VNode {
    return h("button", { type: "button", class: "quiet", "aria-label": `${t.deliveries.resend}: ${delivery.notifier} ${delivery.on}`, onclick: async () => {
        if (await app.ask({ title: t.deliveries.resendTitle, text: t.deliveries.resendText, yes: t.deliveries.resend, no: t.deliveries.resendNot }))
            await app.act(() => app.api.post(`v1/deliveries/${part(delivery.id)}/resend`), t.deliveries.resent);
    } }, t.deliveries.resend);
}

/** `told`: the receiver's real answer. */
export function test(app: App, notifier: Notifier, told: (answer: TestAnswer) => void): VNode {
    return h("button", { type: "button", class: "quiet", "aria-label": `${t.deliveries.test}: ${notifier.name}`, onclick: async () => {
        if (!await app.ask({ title: t.deliveries.testTitle(notifier.name), text: t.deliveries.testText, yes: t.deliveries.test, no: t.deliveries.testNot })) return;
        await app.act(async () => told(await app.api.post<TestAnswer>(`v1/notifiers/${part(notifier.name)}/test`)), "");
    } }, t.deliveries.test);
}

export function send_held(app: App, notifier: Notifier): VNode {
    return h("button", { type: "button", class: "quiet", "aria-label": `${t.deliveries.send}: ${notifier.name}`, onclick: async () => {
        if (await app.ask({ title: t.deliveries.sendTitle(notifier.name), text: t.deliveries.sendText, yes: t.deliveries.send, no: t.deliveries.testNot }))
            await app.act(() => app.api.post(`v1/notifiers/${part(notifier.name)}/resume`), t.deliveries.sent);
    } }, t.deliveries.send);
}
