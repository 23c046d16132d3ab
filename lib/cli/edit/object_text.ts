/**
 * Reads the entries of an object literal in a file's text and adds one, in the way in which the others are written:
 * their indentation, trailing commas and line ends. Runs in the command line only.
 */
import { closeOf } from './mask';

/** An object literal: positions of its brackets. */
export interface ObjectText {
  readonly open: number;
  readonly close: number;
}

export interface EntryText {
  /** Undefined for a spread or a computed key. */
  readonly key: string | undefined;
  readonly start: number;
  /** Text of the value; '' for a shorthand. */
  readonly value: string;
  /** Where the value begins. */
  readonly valueAt: number;
}

/** A file's text, as it is and as `maskSource` returns it. */
export interface Source {
  readonly text: string;
  readonly masked: string;
}

const KEY = /^(?:(['"])(?<quoted>[^'"\\]*)\1|(?<plain>[\w$]+))\s*/;

export function objectAt(masked: string, open: number): ObjectText | undefined {
  const close = masked[open] === '{' ? closeOf(masked, open) : undefined;
  return close === undefined ? undefined : { open, close };
}

export function entriesOf({ text, masked }: Source, { open, close }: ObjectText): EntryText[] {
  const entries: EntryText[] = [];
  let depth = 0;
  let start = open + 1;
  for (let at = open + 1; at <= close; at += 1) {
    const character = masked[at] as string;
    if ((character === ',' && depth === 0) || at === close) {
      const first = start + (/\S/.exec(masked.slice(start, at))?.index ?? at - start);
      if (first < at) entries.push(entryOf(text.slice(first, at), first));
      start = at + 1;
    }
    if ('([{'.includes(character)) depth += 1;
    if (')]}'.includes(character)) depth -= 1;
  }
  return entries;
}

function entryOf(text: string, start: number): EntryText {
  const match = KEY.exec(text);
  const key = match?.groups?.['quoted'] ?? match?.groups?.['plain'];
  const colon = match === null || text[match[0].length] !== ':' ? text.length : match[0].length + 1;
  const valueAt = colon + (/\S/.exec(text.slice(colon))?.index ?? 0);
  return { key, start, value: text.slice(valueAt).trim(), valueAt: start + valueAt };
}

export interface Insertion {
  readonly at: number;
  readonly text: string;
}

/** The text after all `insertions`, whose positions are those of the text before; at one position in their order. */
export function insertAll(text: string, insertions: readonly Insertion[]): string {
  let result = text;
  // From the end on, so that earlier positions stay true.
  for (const { at, text: added } of [...insertions].sort((a, b) => a.at - b.at).reverse()) result = result.slice(0, at) + added + result.slice(at);
  return result;
}

/** The line end that the file uses. */
export function eolOf(text: string): string {
  return text.includes('\r\n') ? '\r\n' : '\n';
}

/** Appends an entry such as `key: value` to the object. Lines of `entry` after its first are indented with it. */
export function appendEntry(source: Source, object: ObjectText, entry: string): string {
  const { text, masked } = source;
  const { open, close } = object;
  const eol = eolOf(text);
  const inner = masked.slice(open + 1, close).trimEnd();
  const last = open + inner.length;
  const hasComma = masked[last] === ',';
  const comma: Insertion[] = inner.trim() === '' || hasComma ? [] : [{ at: last + 1, text: ',' }];
  const indent = indentOf(source, object);
  const body = indented(entry, indent, eol);
  const lineStart = text.lastIndexOf('\n', close - 1) + 1;
  if (lineStart > open && text.slice(lineStart, close).trim() === '') {
    const trailing = hasComma || inner.trim() === '' ? tailComma(text) : '';
    return insertAll(text, [...comma, { at: lineStart, text: `${indent}${body}${trailing}${eol}` }]);
  }
  if (inner.trim() === '') {
    const base = lineIndent(text, open);
    return text.slice(0, open + 1) + eol + indent + body + tailComma(text) + eol + base + text.slice(close);
  }
  return insertAll(text, [...comma, { at: last + 1, text: ` ${indented(entry, lineIndent(text, open), eol)}${hasComma ? ',' : ''}` }]);
}

/** Puts an entry in front of another one: on a line of its own where that one has one. */
export function insertBefore({ text }: Source, next: EntryText, entry: string): string {
  const lineStart = text.lastIndexOf('\n', next.start - 1);
  const gap = text.slice(lineStart, next.start);
  const ownLine = lineStart !== -1 && gap.trim() === '';
  const separator = ownLine ? (text[lineStart - 1] === '\r' ? '\r' : '') + gap : ' ';
  return insertAll(text, [{ at: next.start, text: `${entry},${separator}` }]);
}

/** One step of the file's indentation. @default two spaces */
export function indentationOf(text: string): string {
  if (/^\t/m.test(text)) return '\t';
  // JSON has no comments, whose first lines may be indented by their stars.
  return (isJson(text) ? /^ +(?=\S)/m.exec(text)?.[0] : undefined) ?? '  ';
}

/** JSON has no comma after its last entry. */
function tailComma(text: string): string {
  return isJson(text) ? '' : ',';
}

function isJson(text: string): boolean {
  return text.trimStart().startsWith('{');
}

function indented(entry: string, indent: string, eol: string): string {
  return entry.split('\n').join(eol + indent);
}

/** Indentation of the object's entries: that of the first one on a line of its own, else one step more than its line. */
function indentOf(source: Source, object: ObjectText): string {
  const { text } = source;
  for (const { start } of entriesOf(source, object)) {
    const lineStart = text.lastIndexOf('\n', start - 1) + 1;
    if (lineStart > object.open && text.slice(lineStart, start).trim() === '') return text.slice(lineStart, start);
  }
  const base = lineIndent(text, object.open);
  return base + indentationOf(text);
}

function lineIndent(text: string, at: number): string {
  const lineStart = text.lastIndexOf('\n', at - 1) + 1;
  return /^[ \t]*/.exec(text.slice(lineStart))?.[0] ?? '';
}
