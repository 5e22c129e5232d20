// Numbers as people write them: with the decimal separator of the language; whole ones of any size are kept exactly.
import { language, t } from "../messages";

export const number_shown = (n: number | bigint): string => language === "de" ? String(n).replace(".", ",") : String(n);

/** The number, or what is wrong with its text. */
export function read_number(typed: string, whole: boolean): { value: number | bigint } | { mistake: string } {
    let text = typed.trim().replace(/^[+]/, "").replace(/^\u2212/, "-");
    const wrong = () => ({ mistake: whole ? t("mistake.integer") : t("mistake.number", { example: number_shown(1.5) }) });
    const decimal = language === "de" ? "," : ".", other = language === "de" ? "." : ",";
    if (text.includes(other)) {
        // "1.000" is a thousand to some and one to others: that is nothing to guess.
        const grouped = new RegExp(`^-?\\d{1,3}(\\${other}\\d{3})+$`).test(text);
        const [before = "", ...behind] = text.split(other);
        if (grouped) return { mistake: t("mistake.ambiguous", { a: before + behind.join(""), b: number_shown(Number(`${before}.${behind.join("")}`)) }) };
        if (language !== "de" || text.includes(decimal)) return wrong();
    }
    text = text.replace(decimal, ".");
    if (!/^-?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) return wrong();
    if (/^-?\d+$/.test(text)) {
        const exact = BigInt(text);
        return { value: exact >= BigInt(Number.MIN_SAFE_INTEGER) && exact <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(exact) : exact };
    }
    const value = Number(text);
    if (!Number.isFinite(value) || whole && !Number.isInteger(value)) return wrong();
    return { value };
}
