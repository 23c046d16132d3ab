/**
 * What the tests of documents and style look at: the package's files, by folder.
 */
import fs from 'node:fs';
import path from 'node:path';

export const ROOT = path.join(__dirname, '../..');

export interface TextFile {
  /** Path below the package's root. */
  readonly name: string;
  readonly text: string;
}

/** TypeScript sources below these folders, in order; `.d.ts` are output. Folders that are not there have none. */
export function sources(...folders: readonly string[]): TextFile[] {
  return folders.flatMap((folder) => filesBelow(folder).filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts')).map(read));
}

/** Markdown files of the package itself. */
export function documents(): TextFile[] {
  const top = fs.readdirSync(ROOT).filter((name) => name.endsWith('.md'));
  return [...top, ...filesBelow('docs').filter((name) => name.endsWith('.md'))].map(read);
}

export function read(name: string): TextFile {
  return { name, text: fs.readFileSync(path.join(ROOT, name), 'utf8') };
}

function filesBelow(folder: string): string[] {
  const root = path.join(ROOT, folder);
  if (!fs.existsSync(root)) return [];
  const names = fs.readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) => !name.includes('node_modules'));
  return names.map((name) => path.posix.join(folder, name)).sort();
}
