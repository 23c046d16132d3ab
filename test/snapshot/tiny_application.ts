/**
 * A small application without Egg for tests of snapshots: written into a directory of its own, recorded and loaded by
 * processes of their own (`child.ts`), so that tests may change, move and break whatever they like.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Manifest, SnapshotReference, SnapshotRole, SnapshotSubject } from '../../lib/snapshot/manifest';
import { digestOf, open } from '../../lib/snapshot/format';
import { openSnapshot } from '../../lib/snapshot/store';
import { REPORT_FD, type ChildReport, type ChildTask } from './child';

const CHILD = path.join(__dirname, 'child.js');

/** Files by path, relative to the application. */
export type Files = Readonly<Record<string, string>>;

export const FILES: Files = {
  'package.json': '{"name":"tiny","version":"1.0.0","private":true}',
  'boot.js': 'const dep = require("dep"); const { of } = require("./lib/prices"); exports.boot = () => ({ dep, price: of(2) }); exports.price = of(2);',
  'lib/prices.js': 'const table = require("./table.json"); exports.of = (amount) => table.unit * amount;',
  'lib/table.json': '{"unit":3}',
  'lib/folder/index.js': 'module.exports = "folder";',
  'lib/uses_folder.js': 'module.exports = require("./folder");',
  'app/function/price.js': 'const { of } = require("../../lib/prices"); module.exports = async (ctx, amount) => { process.stdout.write(`price ${of(amount)}\\n`); return of(amount); };',
  'node_modules/dep/package.json': '{"name":"dep","version":"1.0.0","main":"main.js"}',
  'node_modules/dep/main.js': 'let extra = "none"; try { extra = require("dep-extra"); } catch (error) { if (error.code !== "MODULE_NOT_FOUND") throw error; } module.exports = { name: "dep", extra };',
  'node_modules/.package-lock.json': '{"lockfileVersion":3}',
};

/** Real path of a new directory; `rmSync` it afterwards. */
export function newDirectory(): string {
  return realpathSync(mkdtempSync(path.join(tmpdir(), 'ec-snapshot-')));
}

export function removeDirectory(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
}

export function writeFiles(baseDir: string, files: Files): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(baseDir, name)), { recursive: true });
    writeFileSync(path.join(baseDir, name), text);
  }
}

/** Files that are older than a recording, as those of an installed application are. */
export function age(): void {
  spawnSync('sleep', ['0.05']);
}

export function subjectOf(baseDir: string, over: Partial<SnapshotSubject> = {}): SnapshotSubject {
  return { role: 'function' as SnapshotRole, baseDir, framework: path.join(baseDir, 'boot.js'), env: 'prod', scope: '', plugins: null, ...over };
}

export function runChild(task: ChildTask, environment: NodeJS.ProcessEnv = {}, flags: readonly string[] = []): ChildReport {
  const { baseDir } = task.subject;
  const child = spawnSync(process.execPath, [...flags, CHILD, JSON.stringify(task)], {
    encoding: 'utf8', env: { ...process.env, EGG_HOME: path.dirname(baseDir), ...environment }, cwd: baseDir, timeout: 30_000, stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  assert.equal(child.status, 0, `${child.signal}\n${child.stdout}\n${child.stderr}`);
  return JSON.parse(child.output[REPORT_FD] ?? '') as ChildReport;
}

/** Records the loading of `modules`, relative to the application; by default of its boot and of all in `lib`. */
export function record(subject: SnapshotSubject, directory: string, modules: readonly string[] = ['boot.js', 'lib/uses_folder.js']): SnapshotReference {
  age();
  const { written, results } = runChild({ subject, record: directory, load: modules.map((name) => path.join(subject.baseDir, name)) });
  assert.ok(written !== undefined, JSON.stringify(results));
  return written;
}

export function load(subject: SnapshotSubject, replay: SnapshotReference, modules: readonly string[] = ['boot.js']): ChildReport {
  return runChild({ subject, replay, load: modules.map((name) => path.resolve(subject.baseDir, name)) });
}

/** What makes JSON of a type writable: tests spoil it. */
export type Writable<T> = T extends readonly unknown[] ? unknown[] : T extends object ? { -readonly [K in keyof T]: Writable<T[K]> } & Record<string, unknown> : unknown;

/** The same snapshot with another manifest and its right digest. */
export function withManifest(bytes: Buffer, change: (manifest: Writable<Manifest>) => unknown): { bytes: Buffer; sha256: string } {
  const opened = open(bytes, digestOf(bytes));
  const manifest = JSON.parse(JSON.stringify(opened.manifest)) as Writable<Manifest>;
  const changed = change(manifest);
  return encode(changed === undefined ? manifest : changed, bytes.subarray(opened.start));
}

export function encode(manifest: unknown, contents: Buffer, format = 1): { bytes: Buffer; sha256: string } {
  const json = Buffer.from(JSON.stringify(manifest));
  const header = Buffer.alloc(16);
  header.write('CARTONSN', 'latin1');
  header.writeUInt32LE(format, 8);
  header.writeUInt32LE(json.length, 12);
  const bytes = Buffer.concat([header, json, Buffer.alloc((8 - (json.length % 8)) % 8, ' '), contents]);
  return { bytes, sha256: digestOf(bytes) };
}

/** Writes a snapshot as it is, and makes it current. */
export function place(directory: string, { bytes, sha256 }: { bytes: Buffer; sha256: string }, role: SnapshotRole = 'function'): SnapshotReference {
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  const reference = { path: path.join(directory, `${sha256}.snapshot`), sha256 };
  writeFileSync(reference.path, bytes);
  writeFileSync(path.join(directory, `${role}.json`), `${JSON.stringify({ sha256 })}\n`);
  return reference;
}

export function manifestOf(reference: SnapshotReference): Manifest {
  return openSnapshot(reference).manifest;
}
