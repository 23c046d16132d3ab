/**
 * What lexing a file yields, whatever its module system, and what both lexers take for a plain value. Runs at boot.
 */
export interface LexedExports {
  /** Names of exports that may be functions, `default` among them; in the order of the file. */
  readonly names: readonly string[];
  /** Files whose exports are handed on; `withDefault` where their default is, too. */
  readonly reexports: readonly { readonly from: string; readonly withDefault: boolean }[];
  /** False where there may be exports that the text does not show. */
  readonly complete: boolean;
}

/**
 * Whether an initializer's text begins as a literal that is no function. Arrays do not count: `[a, b].reduce(compose)`
 * is a function, and a value taken for one costs nothing, while a function taken for a value cannot be called.
 */
export function isPlainValue(text: string): boolean {
  return /^(?:-?\d|["'`{]|(?:true|false|null)\b)/.test(text);
}
