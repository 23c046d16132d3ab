/**
 * What a file exports, from its text and without running it: ES modules and TypeScript over es-module-lexer (which
 * lexes types, unlike most), CommonJS in `exports_commonjs.ts`. Runs at boot, in the agent. Nothing that may be a
 * function is left out: exports count unless the text says plainly that they are types or values.
 */
import type { Export } from 'es-module-lexer' with { 'resolution-mode': 'import' };
import { lexCommonJs } from './exports_commonjs';
import { isPlainValue, type LexedExports } from './lexed_exports';

// The package has a CommonJS build, but its types say that it is an ES module only, so `import` does not compile.
// eslint-disable-next-line @typescript-eslint/no-unsafe-assignment -- the linter does not resolve the import attribute
const { init, parse } = require('es-module-lexer') as typeof import('es-module-lexer', { with: { 'resolution-mode': 'import' } });

/** What counts where the lexer cannot tell: the default export, so that a caller meets the load error. */
const UNTOLD: LexedExports = Object.freeze({ names: Object.freeze(['default']), reexports: Object.freeze([]), complete: false });

/** Compiles the lexer once; `lexExports` needs it. */
export function prepareLexers(): Promise<void> {
  return init();
}

/** `file` tells the language by its extension. Never throws. */
export function lexExports(source: string, file: string): LexedExports {
  if (file.endsWith('.cjs')) return lexCommonJs(source) ?? UNTOLD;
  return lexEsModule(source) ?? (file.endsWith('.mjs') ? undefined : lexCommonJs(source)) ?? UNTOLD;
}

/** Undefined where the text is no ES module, or cannot be lexed as one. */
function lexEsModule(source: string): LexedExports | undefined {
  const parsed = tryParse(source);
  if (parsed === undefined) return undefined;
  const [, exports, , isModule] = parsed;
  // TypeScript's `export = f`, which the lexer passes over: what `module.exports = f` is in JavaScript.
  if (exports.length === 0 && /^export\s*=(?!=)/m.test(source)) return { names: ['default'], reexports: [], complete: false };
  if (!isModule || (exports.length === 0 && /\bmodule\s*\.\s*exports\b/.test(source))) return undefined;
  let declared: ReadonlySet<string> | undefined;
  const types = (): ReadonlySet<string> => (declared ??= declaredTypes(source));
  const names = exports.filter((item) => item.type !== 'reexport-all' && mayBeFunction(item, source, types)).map((item) => (item as { name: string }).name);
  const reexports = exports.filter((item) => item.type === 'reexport-all' && !item.typeOnly).map((item) => ({ from: (item as { from: string }).from, withDefault: false }));
  return { names: [...new Set(names)], reexports, complete: true };
}

function tryParse(source: string): ReturnType<typeof parse> | undefined {
  try {
    return parse(source);
  } catch {
    // A syntax error, or CommonJS that is none as a module. The next lexer or the function's own load tells.
    return undefined;
  }
}

const TYPE_STATEMENT = /^export\s+(?:(?:declare|abstract|const)\s+)*(?:class|enum|namespace|module|interface|as\s+namespace)\b/;

function mayBeFunction(item: Export, source: string, types: () => ReadonlySet<string>): boolean {
  if (item.typeOnly) return false;
  if (item.type !== 'direct') return item.type === 'reexport' && item.importName !== null;
  if (item.name === 'default') return true;
  const statement = source.slice(item.exportStart, item.exportStart + 200);
  if (/^export\s*\{/.test(statement)) return !types().has(item.localName ?? item.name);
  if (TYPE_STATEMENT.test(statement)) return false;
  const value = /^\s*(?::[^=;()]*)?=(?![=>])\s*/.exec(source.slice(item.end, item.end + 400));
  return value === null || !isPlainValue(source.slice(item.end + value[0].length, item.end + value[0].length + 20));
}

/**
 * Names that a top-level declaration, which begins its line in any formatted file, says to be types or classes, and
 * none says to be more. One pass over the text, because a bundle has many names and many lines.
 */
function declaredTypes(source: string): ReadonlySet<string> {
  const typeNames = new Set<string>();
  const valueNames = new Set<string>();
  const declaration = /^(?:(?:declare|abstract|async|const(?=\s+enum))\s+)*(class|enum|namespace|interface|type|const|let|var|function\b\s*\*?)\s*([\w$]+)/gm;
  for (const [, keyword = '', name = ''] of source.matchAll(declaration)) (/^(?:const|let|var|function)/.test(keyword) ? valueNames : typeNames).add(name);
  return new Set([...typeNames].filter((name) => !valueNames.has(name)));
}
