/**
 * Finds what a file of Egg's configuration exports, as far as its text tells for sure: an object literal, or single
 * exports. Runs in the command line only. It never guesses: whatever it does not know is `unknown`.
 */
import { closeOf, topLevel } from './mask';
import { objectAt, type ObjectText } from './object_text';

export type Exported =
  /** `name`: of the variable that holds the object, if there is one. */
  | { readonly kind: 'object'; readonly object: ObjectText; readonly name?: string }
  /** `exports.a = …` or `export const a = …`. */
  | { readonly kind: 'single'; readonly module: 'commonjs' | 'esm' }
  /** A function that returns the object; Egg calls it in `config.*`, and not in `plugin.*`. */
  | { readonly kind: 'function' }
  /** The file has no code. */
  | { readonly kind: 'nothing' }
  | { readonly kind: 'unknown' };

const UNKNOWN: Exported = Object.freeze({ kind: 'unknown' });

const WHOLE = /\bexport\s+default\s+|\bexport\s*=\s*|\bmodule\s*\.\s*exports\s*=(?![=>])\s*(?:exports\s*=\s*)?/g;
const SINGLE_COMMONJS = /(?:^|[;\n])\s*(?:module\s*\.\s*)?exports\s*\.\s*[\w$]+\s*=(?![=>])/;
const SINGLE_ESM = /(?:^|[;\n])\s*export\s+(?:const|let|var)\s/;
const DIRECTIVES = /^(?:\s*"_*"\s*;?)*\s*$/;
/** After the object nothing may follow that makes another value of it. */
const AFTER = /^\s*(?:$|;|\n|as\b|satisfies\b)/;
const FUNCTION = /^(?:async\s*)?(?:function\b|\(|[\w$]+\s*=>)/;

/** `masked` comes from `maskSource`. */
export function exportedObject(masked: string): Exported {
  const top = topLevel(masked);
  const whole = [...top.matchAll(WHOLE)];
  if (whole.length === 1) {
    const [match] = whole as [RegExpMatchArray];
    return valueAt(masked, top, (match.index ?? 0) + match[0].length);
  }
  if (whole.length > 1) return UNKNOWN;
  if (SINGLE_COMMONJS.test(top)) return { kind: 'single', module: 'commonjs' };
  if (SINGLE_ESM.test(top)) return { kind: 'single', module: 'esm' };
  return DIRECTIVES.test(masked) ? { kind: 'nothing' } : UNKNOWN;
}

function valueAt(masked: string, top: string, start: number): Exported {
  // An old type assertion, `<EggPlugin>{…}`, changes nothing.
  const at = start + (/^\s*(?:<[\w.\s]+>\s*)?/.exec(masked.slice(start))?.[0].length ?? 0);
  const direct = literalAt(masked, at);
  if (direct !== undefined) return { kind: 'object', object: direct };
  const rest = top.slice(at);
  if (FUNCTION.test(rest)) return { kind: 'function' };
  const name = /^([A-Za-z_$][\w$]*)\s*(?:;|\n|$|as\b|satisfies\b)/.exec(rest)?.[1];
  return name === undefined ? UNKNOWN : variable(masked, top, name);
}

/** `{…}`, or `({…})`, with at most a type after it. */
function literalAt(masked: string, at: number): ObjectText | undefined {
  if (masked[at] === '(') {
    const close = closeOf(masked, at);
    if (close === undefined || !AFTER.test(masked.slice(close + 1))) return undefined;
    const inner = at + 1 + (/^\s*/.exec(masked.slice(at + 1))?.[0].length ?? 0);
    const object = literalAt(masked, inner);
    return object !== undefined && object.close < close ? object : undefined;
  }
  const object = objectAt(masked, at);
  if (object === undefined) return undefined;
  return AFTER.test(masked.slice(object.close + 1)) || /^\s*\)/.test(masked.slice(object.close + 1)) ? object : undefined;
}

function variable(masked: string, top: string, name: string): Exported {
  const escaped = name.replaceAll('$', '\\$');
  const declarations = [...top.matchAll(new RegExp(`\\b(?:const|let|var)\\s+${escaped}\\s*(?::[^=;]*)?=(?![=>])\\s*`, 'g'))];
  // Assigned again, it is another object at the end.
  const assigned = new RegExp(`(?:^|[;\\n{}])\\s*${escaped}\\s*=(?![=>])`).test(masked);
  if (declarations.length !== 1 || assigned) return UNKNOWN;
  const [match] = declarations as [RegExpMatchArray];
  const object = literalAt(masked, (match.index ?? 0) + match[0].length);
  return object === undefined ? UNKNOWN : { kind: 'object', object, name };
}
