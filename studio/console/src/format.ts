// Times, lengths, and what others sent, made fit to be read.
import { t } from "./messages/index";
export { visible } from "./visible";

const clock = new Intl.DateTimeFormat(t.language, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const precise = new Intl.DateTimeFormat(t.language, { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hour12: false });
const day = new Intl.DateTimeFormat(t.language, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hour12: false });
const whole = new Intl.DateTimeFormat(t.language, { dateStyle: "full", timeStyle: "long" });

/** Today's times are times of day; others have their date. */
export function time_text(time: string | Date): string {
    const date = new Date(time);
    return date.toDateString() === new Date().toDateString() ? clock.format(date) : day.format(date);
}
export const precise_text = (time: string) => precise.format(new Date(time));
export const whole_text = (time: string) => `${whole.format(new Date(time))} (${time})`;

export function duration_text(ms: number): string {
    if (!(ms >= 0)) return "";
    if (ms < 1000) return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
    const seconds = ms / 1000;
    if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
    const two = (n: number) => String(Math.floor(n)).padStart(2, "0");
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
    if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${two(seconds % 3600 / 60)} min`;
    return `${Math.floor(seconds / 86400)} d ${two(seconds % 86400 / 3600)} h`;
}
/** RFC 3339 with microseconds, of which Date keeps thousandths. */
export function span(from: string | undefined, to: string | undefined): number {
    if (!from) return NaN;
    return micros(to ?? new Date().toISOString()) / 1000 - micros(from) / 1000;
}
export function micros(time: string): number {
    const fraction = /\.(\d+)/.exec(time)?.[1] ?? "";
    return Math.floor(Date.parse(time) / 1000) * 1e6 + Number(fraction.padEnd(6, "0").slice(0, 6));
}

export const bytes_text = (n: number) => n >= 2 ** 30 ? `${(n / 2 ** 30).toFixed(1)} GiB` : n >= 2 ** 20 ? `${(n / 2 ** 20).toFixed(1)} MiB` : `${n} B`;
