// What would change how the text around it is read, or show nothing at all. Joiners (200C, 200D) are part of words and emoji.
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/gu;
export function visible(text: string): string {
    return text.replace(/\r\n/g, "\n").replace(HIDDEN, each => `‹U+${each.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}›`);
}
