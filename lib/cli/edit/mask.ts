/**
 * Blanks out what is not code in the text of a JavaScript, TypeScript or JSON file, so that brackets and names can be
 * looked for without meeting those inside comments and strings. Runs in the command line only. The result has the same
 * length, so a position in it is a position in the file.
 */

/** A keyword before `/` means that a regular expression begins; after any other word it divides. */
const OPERATOR_WORDS = new Set(['return', 'typeof', 'case', 'in', 'of', 'do', 'else', 'void', 'delete', 'await', 'yield', 'instanceof', 'new', 'throw', 'default']);

const COMMENT = /\/\/[^\n]*|\/\*[\s\S]*?\*\//y;
const STRING = /"(?:[^"\\\n]|\\[\s\S])*"|'(?:[^'\\\n]|\\[\s\S])*'/y;
const REGULAR_EXPRESSION = /\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/y;
const WORD = /[\w$]+/y;

/**
 * Comments become spaces, strings, templates and regular expressions become underscores between quotes. Undefined
 * where the text cannot be told apart for sure.
 */
export function maskSource(source: string): string | undefined {
  const masker = new Masker(source);
  const end = masker.code(0, '');
  return end === source.length ? masker.text : undefined;
}

class Masker {
  readonly #source: string;
  #parts: string[] = [];

  constructor(source: string) {
    this.#source = source;
  }

  get text(): string {
    return this.#parts.join('');
  }

  /** Masks code from `at` up to an unmatched `stop` (or the end), and returns where that is; undefined: not sure. */
  code(from: number, stop: string): number | undefined {
    const source = this.#source;
    let depth = 0;
    let operand = false;
    let at = from;
    while (at < source.length) {
      const character = source[at] as string;
      if (depth === 0 && character === stop) return at;
      const comment = matchAt(COMMENT, source, at);
      if (comment > 0) {
        this.#parts.push(source.slice(at, at + comment).replace(/[^\r\n]/g, ' '));
        at += comment;
        continue;
      }
      const literal = this.#literal(at, operand);
      if (literal === undefined) return undefined;
      if (literal > 0) {
        at += literal;
        operand = true;
        continue;
      }
      const word = Math.max(1, matchAt(WORD, source, at));
      const text = source.slice(at, at + word);
      this.#parts.push(text);
      at += word;
      if ('([{'.includes(text)) depth += 1;
      if (')]}'.includes(text)) depth -= 1;
      if (text.trim() !== '') operand = ')]'.includes(text) || (/[\w$]/.test(text) && !OPERATOR_WORDS.has(text));
    }
    return stop === '' ? at : undefined;
  }

  /** Length of the literal at `at`, 0 for none, undefined for one that does not end. */
  #literal(at: number, operand: boolean): number | undefined {
    const source = this.#source;
    const character = source[at] as string;
    if (character === '`') return this.#template(at);
    const quoted = character === '"' || character === "'";
    if (!quoted && (character !== '/' || operand)) return 0;
    const length = matchAt(quoted ? STRING : REGULAR_EXPRESSION, source, at);
    if (length === 0) return undefined;
    this.#parts.push(`"${'_'.repeat(length - 2)}"`);
    return length;
  }

  #template(from: number): number | undefined {
    const source = this.#source;
    for (let at = from + 1; at < source.length; at += 1) {
      if (source[at] === '\\') at += 1;
      else if (source[at] === '`') {
        this.#parts.push(`"${'_'.repeat(at - from - 1)}"`);
        return at + 1 - from;
      } else if (source.startsWith('${', at)) {
        // The code inside is masked as a part of the template, so what it would add is dropped.
        const kept = this.#parts;
        this.#parts = [];
        const end = this.code(at + 2, '}');
        this.#parts = kept;
        if (end === undefined) return undefined;
        at = end;
      }
    }
    return undefined;
  }
}

function matchAt(pattern: RegExp, source: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.exec(source)?.[0].length ?? 0;
}

/** Where the bracket that opens at `open` closes. `masked` comes from `maskSource`. */
export function closeOf(masked: string, open: number): number | undefined {
  let depth = 0;
  for (let at = open; at < masked.length; at += 1) {
    if ('([{'.includes(masked[at] as string)) depth += 1;
    if (')]}'.includes(masked[at] as string)) depth -= 1;
    if (depth === 0) return at;
  }
  return undefined;
}

/** The same text with everything inside brackets blank, so that patterns meet the top level of the file only. */
export function topLevel(masked: string): string {
  let depth = 0;
  return [...masked].map((character) => {
    if (')]}'.includes(character)) depth -= 1;
    const shown = depth === 0 || character === '\n' ? character : ' '.repeat(character.length);
    if ('([{'.includes(character)) depth += 1;
    return shown;
  }).join('');
}
