/**
 * Compiles examples/bff, as its own `npm run compile` does, into a directory elsewhere: the demo and benchmarks run what
 * production would run, and leave nothing beside the sources.
 */
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { ModuleKind, ScriptTarget, transpileModule } from 'typescript';

const REPOSITORY = join(__dirname, '../..');
const EXAMPLE = join(REPOSITORY, 'examples/bff');
const PARTS = ['app.ts', 'app', 'config', 'lib', 'upstream'];

/** Writes the compiled application to `directory`, which is made. After an abort it writes nothing more. */
export async function buildExample(directory: string, signal?: AbortSignal): Promise<void> {
  for (const file of PARTS.flatMap((part) => filesOf(join(EXAMPLE, part)))) {
    // The compiler would keep a Ctrl-C waiting until the last file.
    await setImmediate();
    signal?.throwIfAborted();
    const target = join(directory, relative(EXAMPLE, file));
    mkdirSync(dirname(target), { recursive: true });
    if (file.endsWith('.ts')) writeFileSync(target.replace(/\.ts$/, '.js'), compile(file));
  }
  copyFileSync(join(EXAMPLE, 'package.json'), join(directory, 'package.json'));
  symlinkSync(join(REPOSITORY, 'node_modules'), join(directory, 'node_modules'));
}

function filesOf(path: string): string[] {
  if (!existsSync(path)) return [];
  if (path.endsWith('.ts')) return path.endsWith('.d.ts') ? [] : [path];
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() || entry.name.endsWith('.ts'))
    .flatMap((entry) => filesOf(join(path, entry.name)));
}

/** File by file and without checks: those are the type check's. */
function compile(file: string): string {
  return transpileModule(readFileSync(file, 'utf8'), {
    fileName: file,
    compilerOptions: { target: ScriptTarget.ES2022, module: ModuleKind.CommonJS, esModuleInterop: true },
  }).outputText;
}
