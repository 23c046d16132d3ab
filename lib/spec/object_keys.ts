/**
 * Reads the keys of an object literal out of source text, for CommonJS forms that cjs-module-lexer stops at: it reads
 * `{ a, b }`, but `{ hello: async (ctx) => {}, async other(ctx) {} }` only up to the first value. Runs at boot. It
 * never guesses: where a key cannot be told, the answer says that it is not complete.
 */
export interface ObjectKeys {
  readonly keys: readonly ObjectKey[];
  /** False where the object has keys that the text does not show: a spread, a computed key, or an end not found. */
  readonly complete: boolean;
}

export interface ObjectKey {
  readonly name: string;
  /** The beginning of its value's text; '' for methods and for shorthands. */
  readonly value: string;
}

/** Characters of a value that are given; enough to tell a literal. */
const SHOWN_VALUE = 20;

const KEY = /(?:(?:async|get|set)\s+(?=[\w$"'*])|async\s*(?=\*))?\*?\s*(?:([A-Za-z_$][\w$]*)|"([^"\\\n]*)"|'([^'\\\n]*)')\s*(?=[:(,}])/y;

/** Text that brackets do not count in, and regular expressions, which begin only where no operand has just ended. */
const SKIPPED = /\s+|\/\/[^\n]*|\/\*[\s\S]*?\*\/|"(?:[^"\\\n]|\\[\s\S])*"|'(?:[^'\\\n]|\\[\s\S])*'/y;
const REGULAR_EXPRESSION = /\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/y;
const WORD = /[\w$]+/y;
const OPERATOR_WORDS = new Set(['return', 'typeof', 'case', 'in', 'of', 'do', 'else', 'void', 'delete', 'await', 'yield', 'instanceof', 'new', 'throw']);

/** Keys of the literal whose `{` stands at `open`. */
export function objectKeys(source: string, open: number): ObjectKeys {
  const keys: ObjectKey[] = [];
  let complete = true;
  let at = open + 1;
  for (;;) {
    at = skipBlank(source, at);
    if (at >= source.length) return { keys, complete: false };
    if (source[at] === '}') return { keys, complete };
    KEY.lastIndex = at;
    const key = KEY.exec(source);
    if (key === null) complete = false;
    else keys.push({ name: (key[1] ?? key[2] ?? key[3]) as string, value: valueAt(source, KEY.lastIndex) });
    const end = endOfEntry(source, key === null ? at : KEY.lastIndex);
    if (end === undefined) return { keys, complete: false };
    at = source[end] === ',' ? end + 1 : end;
  }
}

function valueAt(source: string, colon: number): string {
  return source[colon] === ':' ? source.slice(colon + 1, colon + 1 + SHOWN_VALUE).trimStart() : '';
}

/** Where the `,` or `}` stands that ends the entry which goes on at `from`; undefined where it does not end. */
function endOfEntry(source: string, from: number): number | undefined {
  let depth = 0;
  let operand = false;
  for (let at = from; at < source.length; ) {
    const skipped = matchAt(SKIPPED, source, at);
    if (skipped > 0) {
      if (source[at] === '"' || source[at] === "'") operand = true;
      at += skipped;
      continue;
    }
    const character = source[at] as string;
    if (character === '`') {
      const end = endOfTemplate(source, at);
      if (end === undefined) return undefined;
      at = end;
      operand = true;
      continue;
    }
    if (character === '/' && !operand) {
      const length = matchAt(REGULAR_EXPRESSION, source, at);
      at += Math.max(1, length);
      operand = length > 0;
      continue;
    }
    const word = matchAt(WORD, source, at);
    if (word > 0) {
      operand = !OPERATOR_WORDS.has(source.slice(at, at + word));
      at += word;
      continue;
    }
    if (depth === 0 && (character === ',' || character === '}')) return at;
    if ('([{'.includes(character)) depth += 1;
    if (')]}'.includes(character)) depth -= 1;
    operand = character === ')' || character === ']';
    at += 1;
  }
  return undefined;
}

/** The index after a template literal, with the expressions inside it. */
function endOfTemplate(source: string, open: number): number | undefined {
  for (let at = open + 1; at < source.length; at += 1) {
    if (source[at] === '\\') at += 1;
    else if (source[at] === '`') return at + 1;
    else if (source.startsWith('${', at)) {
      const end = endOfEntry(source, at + 2);
      if (end === undefined || source[end] !== '}') return undefined;
      at = end;
    }
  }
  return undefined;
}

function skipBlank(source: string, from: number): number {
  let at = from;
  for (let length = blankAt(source, at); length > 0; length = blankAt(source, at)) at += length;
  return at;
}

function blankAt(source: string, at: number): number {
  return source[at] === '"' || source[at] === "'" ? 0 : matchAt(SKIPPED, source, at);
}

function matchAt(pattern: RegExp, source: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.exec(source)?.[0].length ?? 0;
}
