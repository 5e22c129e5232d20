// Times and lengths as people say them.
import { language, t } from "./messages";

const style = (how: Intl.DateTimeFormatOptions) => new Intl.DateTimeFormat(language === "de" ? "de-DE" : "en-GB", how);

/** Today's times are times of day; others have their date. */
export function time_text(time: string | null | undefined): string {
    const date = new Date(time ?? NaN);
    if (Number.isNaN(date.getTime())) return "";
    return style(date.toDateString() === new Date().toDateString() ? { hour: "2-digit", minute: "2-digit" } : { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }).format(date);
}
export const precise_text = (time: string): string => Number.isNaN(Date.parse(time)) ? "" : style({ hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(new Date(time));

export function duration_text(ms: number): string {
    if (!(ms >= 0)) return "";
    const seconds = Math.round(ms / 1000);
    if (seconds < 60) return t("duration.s", { n: seconds });
    if (seconds < 3600) return t("duration.min", { n: Math.floor(seconds / 60) });
    if (seconds < 86400) return t("duration.h", { n: Math.floor(seconds / 3600) });
    return t("duration.d", { n: Math.floor(seconds / 86400) });
}
