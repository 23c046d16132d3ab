/**
 * What a CommonJS file exports, from its text: written by hand, or by tsc, babel, swc and esbuild. Runs at boot.
 * Over cjs-module-lexer, which tells the names that Node's ES modules could import; what it leaves open (whether
 * `module.exports` itself is a function, literals with inline functions) is read here.
 */
import { initSync, parse } from 'cjs-module-lexer';
import { isPlainValue, type LexedExports } from './lexed_exports';
import { objectKeys } from './object_keys';

let ready = false;

/** Characters of a value that are looked at; more than any name and its ` = {}`. */
const SHOWN_VALUE = 200;

/** Statements at the beginning of a line or after `;`, so that a mention in a comment is none. */
const ASSIGNED = /(?:^|;)[ \t]*(?:exports\s*=\s*)?module\s*\.\s*exports\s*=\s*(?![=>])/gm;
/** Exports whose names only a run of the file tells. */
const COMPUTED = /\bexports\s*\[\s*[^'"\s]|\bObject\s*\.\s*assign\(\s*(?:module\s*\.\s*)?exports\b/;
/** swc: `_export(exports, { name: function() {…} })`; esbuild: `__export(name_exports, { name: () => … })`. */
const EXPORT_CALL = /(?:^|;)[ \t]*_{1,2}export\(\s*[\w$]+\s*,\s*(?=\{)/m;

/** Undefined where the text cannot be lexed. */
export function lexCommonJs(source: string): LexedExports | undefined {
  const lexed = tryParse(source);
  if (lexed === undefined) return undefined;
  const names = new Set(lexed.exports);
  let complete = true;
  const call = EXPORT_CALL.exec(source);
  if (call !== null) complete = addKeys(names, source, call.index + call[0].length);
  const transpiled = names.delete('__esModule') || /\b__toCommonJS\(/.test(source);
  if (!transpiled) complete = addAssigned(names, source, lexed.reexports.length > 0);
  const plain = plainExports(source);
  const functions = [...names].filter((name) => name === 'default' || !plain.has(name));
  // `module.exports = require('./x').y` is listed as handing on ./x, which it does not do.
  const handedOn = transpiled || !names.has('default') ? lexed.reexports : [];
  return { names: functions, reexports: handedOn.map((from) => ({ from, withDefault: !transpiled })), complete: complete && !COMPUTED.test(source) };
}

function tryParse(source: string): { exports: string[]; reexports: string[] } | undefined {
  if (!ready) initSync();
  ready = true;
  try {
    return parse(source);
  } catch {
    // A syntax error. The function's own load will tell it to the caller, with the place in the file.
    return undefined;
  }
}

function addKeys(names: Set<string>, source: string, open: number): boolean {
  const { keys, complete } = objectKeys(source, open);
  // In `{ async hello() {} }` the lexer takes the modifier for a name.
  for (const modifier of ['async', 'get', 'set']) names.delete(modifier);
  for (const { name, value } of keys) {
    if (isPlainValue(value)) names.delete(name);
    else names.add(name);
  }
  return complete;
}

/** Adds what `module.exports = …` makes of the file; returns whether that is all there can be. */
function addAssigned(names: Set<string>, source: string, reexports: boolean): boolean {
  const assigned = [...source.matchAll(ASSIGNED)].at(-1);
  if (assigned === undefined) {
    // A bundle or an assignment inside a block: the lexer does not see it, so loading has to tell.
    if (names.size > 0 || reexports || !/\bmodule\s*\.\s*exports\b/.test(source)) return true;
    names.add('default');
    return false;
  }
  const start = assigned.index + assigned[0].length;
  if (source[start] === '{') return addKeys(names, source, start);
  if (/^require\s*\(\s*["'][^"']+["']\s*\)\s*(?:;|$)/m.test(source.slice(start))) return true;
  names.add('default');
  // A function's own properties are assigned by name; what a call returns may have any.
  return /^(?:async\b|function\b|\(|[\w$]+\s*=>)/.test(source.slice(start));
}

/**
 * Names whose last value is plainly no function: a literal, a class, or the object of an enum. One pass over the text,
 * because a bundle has many names and many lines.
 */
function plainExports(source: string): ReadonlySet<string> {
  const last = new Map<string, string>();
  for (const match of source.matchAll(/\bexports\s*\.\s*([\w$]+)\s*=(?![=>])\s*/g)) {
    const start = match.index + match[0].length;
    last.set(match[1] as string, source.slice(start, start + SHOWN_VALUE));
  }
  const classes = new Set([...source.matchAll(/^(?:let \w+ = )?class ([\w$]+)/gm)].map((match) => match[1] as string));
  const isPlain = (name: string, value: string): boolean => isPlainValue(value) || value.startsWith(`${name} = {}`) || classes.has(/^[\w$]+(?=\s*(?:[;,\n]|$))/.exec(value)?.[0] ?? '');
  return new Set([...last].filter(([name, value]) => isPlain(name, value)).map(([name]) => name));
}
