// What can be done to a job, after a question.
import { part } from "../api";
import { h, VNode } from "../dom";
import { t } from "../messages/index";
import { short } from "../parts";
import { link } from "../router";
import { Job } from "../types";
import { App } from "../view";

export function cancel(app: App, job: Job): VNode {
    return h("button", { type: "button", class: "quiet", "aria-label": `${t.job.cancel}: ${short(job.uid)}`, disabled: job.cancel !== undefined, onclick: async () => {
        const given = await app.ask({ title: t.job.cancelTitle, text: t.job.cancelText, yes: t.job.cancel, no: t.job.keep, danger: true, fields: [{ name: "why", label: t.job.cancelWhy, kind: "text" }] });
        if (given) await app.act(() => app.api.post(`v1/jobs/${part(job.uid)}/cancel`, given["why"] ? { why: given["why"] } : {}), t.job.cancelled);
    } }, t.job.cancel);
}

export function retry(app: App, job: Job): VNode {
    return h("button", { type: "button", class: "quiet", "aria-label": `${t.job.retry}: ${short(job.uid)}`, onclick: async () => {
        const given = await app.ask({ title: t.job.retryTitle, text: t.job.retryText, yes: t.job.retry, no: t.job.retryNot, fields: [{ name: "same", label: t.job.sameVersion, kind: "check" }] });
        if (!given) return;
        let made = "";
        const done = await app.act(async () => { made = (await app.api.post<{ jobUid: string }>(`v1/jobs/${part(job.uid)}/retry`, given["same"] ? { sameVersion: true } : {})).jobUid; }, t.job.retried);
        if (done) app.go(link(["jobs", made]));
    } }, t.job.retry);
}
