/**
 * Which file is meant by a path without extension, by Egg's rules. Runs in the agent for discovery and in function
 * processes for loading: both must choose the same file. Instances load it, so it imports nothing of ours.
 */
import fs from 'node:fs';

/** Extensions that `require` does not try by itself, and that paths without extension therefore cannot stand for. */
export const OWN_EXTENSION = /\.[cm]js$/;

/** As Egg decides it: TypeScript is taken only where the environment says so and a hook can load it. */
export function typescriptActive(): boolean {
  return process.env['EGG_TYPESCRIPT'] === 'true' && require.extensions['.ts'] !== undefined;
}

/** Extensions of code files that this process can load, the preferred one first. */
export function codeExtensions(): readonly string[] {
  // A .js beside a .ts is the output of an earlier build, so the source wins where it can be loaded.
  return typescriptActive() ? ['.ts', '.js', '.cjs', '.mjs'] : ['.js', '.cjs', '.mjs'];
}

/**
 * The file that `FunctionSpec.file` (made absolute) or an import without extension means; undefined where there is
 * none. A path that ends in `.cjs` or `.mjs` stands for itself.
 */
export function codeFile(path: string): string | undefined {
  const candidates = OWN_EXTENSION.test(path) ? [path] : codeExtensions().map((extension) => path + extension);
  return candidates.find((candidate) => fs.statSync(candidate, { throwIfNoEntry: false })?.isFile() === true);
}
